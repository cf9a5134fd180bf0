//! Jobs whose submitters wait on open connections. What is said about one is written down in the background: in one
//! go if it is soon over (`drafts`, `closed`), otherwise by its `books`. Here nothing waits for the store.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use roughneck_jobs::{
    class::{CLIENT, Class},
    clock::Clock,
    delivery::Notice,
    id::JobId,
    job::{LogLine, NewJob},
    mark::Passed,
    ports::{
        attended::{Attended, Halt},
        runner::{Outcome, Standing, Supervisor},
        store::StoreError,
    },
    usage::Usage,
};
use tokio::sync::{mpsc, watch};
use tracing::warn;

use crate::{Parts, books::Note, drafts::Draft, record::Record, shared::Shared};

/// Jobs cancelled by one command at the start, so that it does not take long.
const BATCH: u32 = 200;

/// Cancels what a dead host left: nobody hears the answers any more.
pub(crate) async fn clear(parts: &Parts) -> Result<(), StoreError> {
    let class = Class(CLIENT.to_owned());
    let reason = "its client was gone when the host started";
    let mut sum = 0;
    loop {
        let now = parts.clock.now();
        let jobs = parts.store.withdraw_all(&class, reason, now, BATCH).await?;
        sum += jobs;
        if jobs < BATCH {
            break;
        }
    }
    if sum > 0 {
        warn!(sum, "the last host died while {sum} clients waited; their jobs are cancelled");
    }
    Ok(())
}

/// Accepts a job whose submitter waits.
pub(crate) fn attend(shared: &Arc<Shared>, job: NewJob) -> Arc<dyn Attended> {
    let job = of_client(job);
    let attendance = Arc::new(Attendance::new(job.id, &shared.parts));
    let (said, notes) = mpsc::unbounded_channel();
    let submitter = Arc::new(Submitter {
        attendance: Arc::clone(&attendance),
        said,
        clock: Arc::clone(&shared.parts.clock),
    });
    // Before the look at whether the host stops: one that does not yet will wait for the books.
    let token = shared.attempts.token();
    let present = shared.attended.enter(Arc::clone(&attendance));
    // After it has entered: a host that stops now finds it there.
    if shared.stopping.is_cancelled() {
        attendance.abort(Standing::Stopping);
    } else if let Some(passed) = shared.parts.store.passed_mark() {
        attendance.refuse(passed);
    } else {
        shared.drafts.add(Draft::new(job, present, notes, token));
    }
    submitter
}

/// Returns once the store knows what was said about an attended job until now. None if the job is none.
pub(crate) async fn written(shared: &Shared, id: JobId) -> Option<Arc<Attendance>> {
    let attendance = shared.attended.of(id)?;
    shared.drafts.want(&attendance);
    attendance.written().await;
    Some(attendance)
}

/// The job as one of a client that waits: it is not repeated, nothing but its client keeps it back, and
/// no second client can be given its answer.
fn of_client(job: NewJob) -> NewJob {
    NewJob {
        class: Class(CLIENT.to_owned()),
        run_at: job.enqueued_at,
        deadline: None,
        attempts_max: 1,
        idempotency_key: None,
        unique: None,
        concurrency: None,
        // Nobody chooses it by its model: it stands in the lane's own queue.
        model: None,
        member: None,
        ..job
    }
}

/// What the submitter, the books and the engine know of one attended job.
pub(crate) struct Attendance {
    record: Arc<Record>,
    /// Its turn has come.
    has_begun: AtomicBool,
    /// It waited for its model, or gave way.
    has_detours: AtomicBool,
    /// It has ended, or its submitter has left. Nothing that is said later counts.
    is_over: AtomicBool,
    /// Somebody waits for its books.
    is_wanted: AtomicBool,
    /// The mark because of which the queue did not take it.
    refused: OnceLock<Passed>,
    /// The store has said what became of the submission, and knows what was said meanwhile.
    written: watch::Sender<bool>,
}

impl Attendance {
    fn new(job: JobId, parts: &Parts) -> Self {
        Self {
            record: Record::waiting(job, None, parts),
            has_begun: AtomicBool::new(false),
            has_detours: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            refused: OnceLock::new(),
            written: watch::Sender::new(false),
        }
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Stops the run. The first reason stands.
    pub(crate) fn abort(&self, standing: Standing) {
        self.record.abort(standing);
    }

    /// Stops the run, because the queue takes no new jobs.
    pub(crate) fn refuse(&self, passed: Passed) {
        self.refused.get_or_init(|| passed);
        self.record.abort(Standing::Fenced);
    }

    pub(crate) fn has_detours(&self) -> bool {
        self.has_detours.load(Ordering::Acquire)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(crate) fn want(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    pub(crate) fn set_written(&self) {
        self.written.send_replace(true);
    }

    /// Returns once the store has said what became of the submission.
    async fn written(&self) {
        // The sender is ours: it outlives this call.
        let _ = self.written.subscribe().wait_for(|written| *written).await;
    }
}

/// All attended jobs whose books are open.
#[derive(Default)]
pub(crate) struct Attendances(Mutex<HashMap<JobId, Arc<Attendance>>>);

impl Attendances {
    /// Adds a job; it is removed when the guard is dropped, also by a panic.
    fn enter(self: &Arc<Self>, attendance: Arc<Attendance>) -> Present {
        self.lock().insert(attendance.record.run().job, Arc::clone(&attendance));
        Present { attended: Arc::clone(self), attendance }
    }

    pub(crate) fn of(&self, job: JobId) -> Option<Arc<Attendance>> {
        self.lock().get(&job).cloned()
    }

    /// Tells those who wait for their turn that the host stops.
    pub(crate) fn dismiss_waiting(&self) {
        let waits = |one: &Attendance| !one.has_begun.load(Ordering::Acquire) && !one.is_over();
        self.lock().values().filter(|one| waits(one)).for_each(|one| {
            one.abort(Standing::Stopping);
        });
    }

    /// Tells all that the host stops.
    pub(crate) fn dismiss_all(&self) {
        self.lock().values().for_each(|one| one.abort(Standing::Stopping));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Attendance>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a job among the [`Attendances`].
pub(crate) struct Present {
    attended: Arc<Attendances>,
    attendance: Arc<Attendance>,
}

impl Present {
    pub(crate) fn attendance(&self) -> &Attendance {
        &self.attendance
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.attendance.set_written();
        self.attended.lock().remove(&self.attendance.record.run().job);
    }
}

/// The submitter's side of an attended job.
struct Submitter {
    attendance: Arc<Attendance>,
    said: mpsc::UnboundedSender<Note>,
    clock: Arc<dyn Clock>,
}

impl Submitter {
    /// Books that are closed write nothing more.
    fn say(&self, note: Note) {
        drop(self.said.send(note));
    }
}

#[async_trait]
impl Attended for Submitter {
    fn id(&self) -> JobId {
        self.attendance.record.run().job
    }

    fn supervisor(&self) -> Arc<dyn Supervisor> {
        let attendance = Arc::clone(&self.attendance);
        Arc::new(Attendant { attendance, said: self.said.clone() })
    }

    fn begin(&self) {
        self.attendance.has_begun.store(true, Ordering::Release);
        self.say(Note::Begin { at: self.clock.now() });
    }

    async fn halted(&self) -> Halt {
        let standing = self.attendance.record.aborted().await;
        match (self.attendance.refused.get(), standing) {
            (Some(passed), _) => Halt::Refused(StoreError::Full(*passed)),
            (None, Standing::Stopping) => Halt::Stopping,
            (None, Standing::Cancelled | Standing::Fenced | Standing::Overdue | Standing::Held) => {
                Halt::Cancelled
            }
        }
    }

    fn end(&self, outcome: Outcome) {
        self.say(Note::End { outcome, at: self.clock.now() });
        // After it was said, so that who finds it over finds its end as well.
        self.attendance.is_over.store(true, Ordering::Release);
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        // After an end, nobody reads it.
        self.say(Note::Left { at: self.clock.now() });
        self.attendance.is_over.store(true, Ordering::Release);
    }
}

/// The run's side of an attended job: its record, which does not write to the store.
struct Attendant {
    attendance: Arc<Attendance>,
    said: mpsc::UnboundedSender<Note>,
}

impl Attendant {
    fn record(&self) -> &Record {
        &self.attendance.record
    }

    /// Says what makes its history longer than that of most.
    fn say_detour(&self, note: Note) {
        self.attendance.has_detours.store(true, Ordering::Release);
        // Books that are closed write nothing more.
        drop(self.said.send(note));
    }
}

#[async_trait]
impl Supervisor for Attendant {
    fn standing(&self) -> Standing {
        self.record().standing()
    }

    async fn confirmed(&self) -> Standing {
        self.record().confirmed().await
    }

    /// There is no guest whose start could be measured.
    fn began(&self) {}

    async fn loading(&self, loading: bool) {
        self.say_detour(Note::Loading(loading));
    }

    async fn gave_way(&self) {
        self.say_detour(Note::GaveWay);
    }

    fn text(&self, piece: &str) {
        self.record().text(piece);
    }

    fn retract(&self) {
        self.record().retract();
    }

    fn progress(&self, percent: Option<u8>, note: String) {
        self.record().progress(percent, note);
    }

    fn log(&self, line: LogLine) {
        self.record().log(line);
    }

    fn spent(&self, usage: &Usage) {
        self.record().spent(usage);
    }

    fn notify(&self, notice: Notice) {
        self.record().notify(notice);
    }
}
