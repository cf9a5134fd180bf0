//! The books of attended jobs before anything of them is written.
//!
//! Short calls come in crowds, and nobody needs to read about one at once: its client has its answer, and a host that
//! dies takes the connection with it. So its books lie here for a moment. If it is over by then, it is written in one go,
//! together with the others of that moment; if it goes on, its books are opened. Whoever asks for it has them written now.

use std::{
    mem,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use roughneck_jobs::{id::JobId, job::NewJob};
use tokio::{
    sync::{Notify, mpsc::UnboundedReceiver},
    time::{Instant, sleep_until},
};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::error;

use crate::{
    attended::{Attendance, Present},
    books::{self, Note},
    closed,
    shared::Shared,
};

/// How long the books of a job wait for its end. Lists of jobs are as much behind.
const LINGER: Duration = Duration::from_millis(50);

/// When so many books wait, all are written: they are held in memory.
const DRAFTS_MAX: usize = 1_000;

/// The books of a job before anything of it is written.
pub(crate) struct Draft {
    pub(crate) job: NewJob,
    pub(crate) present: Present,
    pub(crate) notes: UnboundedReceiver<Note>,
    /// A host that stops waits until they are written.
    pub(crate) token: TaskTrackerToken,
    due: Instant,
}

impl Draft {
    pub(crate) fn new(
        job: NewJob,
        present: Present,
        notes: UnboundedReceiver<Note>,
        token: TaskTrackerToken,
    ) -> Self {
        Self { job, present, notes, token, due: Instant::now() + LINGER }
    }
}

/// All books of which nothing is written.
#[derive(Default)]
pub(crate) struct Drafts {
    all: Mutex<Vec<Draft>>,
    /// One of them is wanted, or there are too many.
    is_pressed: AtomicBool,
    /// The first has come, or they are pressed for.
    changed: Notify,
}

/// What is to be done now.
#[derive(Default)]
struct Ripe {
    /// Jobs that are over, with no more history than a begin and an end.
    over: Vec<Draft>,
    /// Jobs that go on, or have more history.
    open: Vec<Draft>,
}

impl Drafts {
    pub(crate) fn add(&self, draft: Draft) {
        let count = {
            let mut all = self.lock();
            all.push(draft);
            all.len()
        };
        // In between nobody need be woken: that is what it saves.
        if count >= DRAFTS_MAX {
            self.press();
        } else if count == 1 {
            self.changed.notify_one();
        }
    }

    /// Has the books of a job written now, if they are not.
    pub(crate) fn want(&self, attendance: &Attendance) {
        attendance.want();
        self.press();
    }

    fn press(&self) {
        self.is_pressed.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Takes those that are to be written: all that are over, so that they share a transaction, and those that have waited
    /// long enough or are wanted. All, if the host `hurries`.
    fn take(&self, hurries: bool) -> Ripe {
        let now = Instant::now();
        let mut all = self.lock();
        let hurries = hurries || all.len() >= DRAFTS_MAX;
        let mut ripe = Ripe::default();
        for draft in mem::take(&mut *all) {
            let attendance = draft.present.attendance();
            if attendance.is_over() && !attendance.has_detours() {
                ripe.over.push(draft);
            } else if hurries || draft.due <= now || attendance.is_over() || attendance.is_wanted()
            {
                ripe.open.push(draft);
            } else {
                all.push(draft);
            }
        }
        ripe
    }

    /// When the first of them has waited long enough. They stand in the order in which they came.
    fn first_due(&self) -> Option<Instant> {
        self.lock().first().map(|draft| draft.due)
    }

    /// A poisoned lock holds plain data that is still whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Draft>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the books written, until the last of them is.
pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = next(&shared) => write(&shared),
            // Every draft is awaited before.
            () = shared.closing.cancelled() => return,
        }
    }
}

/// Returns when there is something to write, as a rule.
async fn next(shared: &Shared) {
    let drafts = &shared.drafts;
    while !drafts.is_pressed.swap(false, Ordering::AcqRel) {
        match drafts.first_due() {
            None => drafts.changed.notified().await,
            Some(due) => tokio::select! {
                () = drafts.changed.notified() => {}
                () = sleep_until(due) => return,
                () = shared.stopping.cancelled() => return,
            },
        }
    }
}

/// Each by a task of its own, so that none waits for another, nor all for a store that fails.
fn write(shared: &Arc<Shared>) {
    let Ripe { over, open } = shared.drafts.take(shared.stopping.is_cancelled());
    for draft in open {
        let (id, shared) = (draft.job.id, Arc::clone(shared));
        let attempts = shared.attempts.clone();
        attempts.spawn(unless_it_panics(id, books::keep(shared, draft)));
    }
    if !over.is_empty() {
        shared.attempts.spawn(closed::keep(Arc::clone(shared), over));
    }
}

/// Keeps the books of one job. A panic is a mistake of the host's, whose log says so at least: what was not written
/// by then is lost, and to try again might write it twice.
pub(crate) async fn unless_it_panics(id: JobId, books: impl Future<Output = ()>) {
    // Nothing of it is used after it: what it held is dropped, and what it shares is whole at every await.
    if AssertUnwindSafe(books).catch_unwind().await.is_err() {
        error!(job = %id, "the books of the job {id} of a client are lost: the host panicked over them");
    }
}
