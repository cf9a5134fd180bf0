//! The books of one attended job that goes on: what is said about it reaches the store here, in its order.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use roughneck_jobs::{
    causes::Causes,
    clock::Millis,
    failure::{Disposition, Failure, code},
    id::JobId,
    job::NewJob,
    ports::{
        bell::{Bell as _, Change},
        runner::{Outcome, Standing, Supervisor as _},
        store::{StoreError, Submitted, Verdict},
    },
    run::{LEASE_MS, Run},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout},
};
use tracing::{error, warn};

use crate::{
    attempt,
    attended::{Attendance, Present},
    drafts::Draft,
    pause::AFTER_ERROR,
    record::Record,
    runs::Entered,
    shared::Shared,
};

/// How often a store that fails is asked again, a second apart: as long as a lease holds.
pub(crate) const TRIES: u32 = 60;

/// How long a run that must stop may take to say what it has cost.
const GRACE: Duration = Duration::from_secs(1);

/// The only attempt there is.
const ATTEMPT: u32 = 1;

/// What is said about an attended job.
pub(crate) enum Note {
    /// Its turn came at this instant.
    Begin { at: Millis },
    /// It waits for its model, or no longer does.
    Loading(bool),
    /// It waits for its model again, because it gave way to an urgent call.
    GaveWay,
    /// It is over.
    End { outcome: Outcome, at: Millis },
    /// The submitter has left.
    Left { at: Millis },
}

/// Keeps the books of a job until it is over.
pub(crate) async fn keep(shared: Arc<Shared>, draft: Draft) {
    let Draft { job, present, notes, .. } = draft;
    let (id, due) = (job.id, job.run_at);
    let mut books = Books { shared, id, due, present, notes, entered: None, is_loading: false };
    if books.submit(job).await && books.catch_up().await.is_continue() {
        books.attendance().set_written();
        books.follow().await;
    }
}

struct Books {
    shared: Arc<Shared>,
    id: JobId,
    /// Since when it waits.
    due: Millis,
    present: Present,
    notes: UnboundedReceiver<Note>,
    /// Its run, once the store knows of it.
    entered: Option<Entered>,
    /// Whether it waits for its model.
    is_loading: bool,
}

impl Books {
    /// Writes the job. False if there is nothing to follow.
    async fn submit(&self, job: NewJob) -> bool {
        for _ in 0..TRIES {
            match self.shared.parts.store.submit(job.clone()).await {
                Ok(Submitted::Created(_)) => return true,
                Ok(Submitted::Existing(_)) => {
                    unkept(self.id);
                    return false;
                }
                Err(StoreError::Full(passed)) => {
                    self.attendance().refuse(passed);
                    return false;
                }
                Err(error) => {
                    error!(job = %self.id, error = %Causes(&error), "the job {} of a client could not be kept; trying again", self.id);
                }
            }
            if self.pause().await.is_break() {
                break;
            }
        }
        false
    }

    /// Writes down what was said so far, so that whoever waits for the books does not read what is past. It breaks at the end.
    async fn catch_up(&mut self) -> ControlFlow<()> {
        while let Ok(note) = self.notes.try_recv() {
            self.hear(note).await?;
        }
        ControlFlow::Continue(())
    }

    /// Writes down what is said, until the end.
    async fn follow(&mut self) {
        let record = Arc::clone(self.attendance().record());
        loop {
            tokio::select! {
                biased;
                note = self.notes.recv() => match note {
                    Some(note) => if self.hear(note).await.is_break() {
                        return;
                    },
                    // The submitter says so before it goes.
                    None => return self.leave(self.shared.parts.clock.now()).await,
                },
                standing = record.aborted() => return self.halt(standing).await,
            }
        }
    }

    /// Writes down one thing that was said. It breaks at the end.
    async fn hear(&mut self, note: Note) -> ControlFlow<()> {
        match note {
            Note::Begin { at } => self.begin(at).await,
            Note::Loading(loading) => self.loading(loading).await,
            Note::GaveWay => self.gave_way().await,
            Note::End { outcome, at } => {
                self.end(verdict(outcome), at).await;
                return ControlFlow::Break(());
            }
            Note::Left { at } => {
                self.leave(at).await;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Has the store hand the job out to the run that has begun. Nothing, if it has done so.
    async fn begin(&mut self, at: Millis) {
        if self.entered.is_some() {
            return;
        }
        let Some((run, asked_at)) = self.claim(at).await else { return };
        let shared = &self.shared;
        let record = self.present.attendance().record();
        record.begin(run, ATTEMPT, asked_at);
        self.entered = Some(shared.runs.enter(Arc::clone(record)));
        // What it shows can be seen from now on.
        shared.parts.bells.ring(Change::Job(self.id));
        waited(shared, self.due, at);
        if self.is_loading {
            record.loading(true).await;
        }
    }

    /// The run, and when the store was asked for it.
    async fn claim(&self, at: Millis) -> Option<(Run, Instant)> {
        let parts = &self.shared.parts;
        for _ in 0..TRIES {
            let (asked_at, now) = (Instant::now(), parts.clock.now());
            match parts.store.begin(self.id, at, now.plus_ms(LEASE_MS)).await {
                Ok(Some(run)) => return Some((run, asked_at)),
                Ok(None) if self.is_over().await => {
                    self.attendance().abort(Standing::Cancelled);
                    return None;
                }
                Ok(None) => {
                    warn!(job = %self.id, "no slot is free for the job {} of a client", self.id);
                }
                Err(error) => {
                    error!(job = %self.id, error = %Causes(&error), "the begin of job {} could not be kept; trying again", self.id);
                }
            }
            // That may take a while, and whoever asks for the job need not wait for it.
            self.attendance().set_written();
            if self.pause().await.is_break() {
                break;
            }
        }
        None
    }

    async fn is_over(&self) -> bool {
        match self.shared.parts.store.job(self.id).await {
            Ok(job) => job.is_none_or(|job| job.state.is_terminal()),
            Err(_) => false,
        }
    }

    async fn loading(&mut self, loading: bool) {
        self.is_loading = loading;
        if let Some(entered) = &self.entered {
            entered.record().loading(loading).await;
        }
    }

    async fn gave_way(&mut self) {
        self.is_loading = true;
        if let Some(entered) = &self.entered {
            entered.record().gave_way().await;
        }
    }

    /// Keeps how it ended. A run that was over before the store knew of it is begun all the same.
    async fn end(&mut self, verdict: Verdict, at: Millis) {
        self.begin(at).await;
        let Some(entered) = &self.entered else {
            return self.withdraw("its run could not be kept", at).await;
        };
        let record = Arc::clone(entered.record());
        match record.standing() {
            // Whether a run has lost its job the store knows for sure. It may have failed when it was asked.
            Standing::Held | Standing::Stopping | Standing::Fenced => {
                self.finish(&record, verdict, at).await;
            }
            // The store knows: it wrote the end.
            standing @ (Standing::Cancelled | Standing::Overdue) => {
                attempt::abandon(&self.shared, &record, standing).await;
            }
        }
    }

    async fn finish(&self, record: &Record, verdict: Verdict, at: Millis) {
        let finish = attempt::ending(record, verdict, None, at);
        attempt::finish(&self.shared, record, finish).await;
    }

    /// Cancels the job, with what its run has cost if it has begun.
    async fn leave(&mut self, at: Millis) {
        let (code, reason) = departure(self.attendance().record());
        if self.entered.is_some() {
            let failure = Failure::fatal(code, reason);
            self.end(Verdict::Cancel { failure }, at).await;
        } else {
            self.withdraw(reason, at).await;
        }
    }

    async fn withdraw(&self, reason: &str, at: Millis) {
        for _ in 0..TRIES {
            match self.shared.parts.store.withdraw(self.id, reason, at).await {
                Ok(_) => return,
                Err(error) => {
                    error!(job = %self.id, error = %Causes(&error), "job {} could not be cancelled; trying again", self.id);
                }
            }
            if self.pause().await.is_break() {
                break;
            }
        }
    }

    /// The run must stop. What it says within the grace still counts.
    async fn halt(&mut self, standing: Standing) {
        let word = timeout(GRACE, self.last_word()).await.ok().flatten();
        match (standing, word) {
            (Standing::Stopping | Standing::Fenced, Some((outcome, at))) => {
                self.end(verdict(outcome), at).await;
            }
            (Standing::Stopping, None) => {
                self.leave(self.shared.parts.clock.now()).await;
            }
            (Standing::Cancelled | Standing::Fenced | Standing::Overdue | Standing::Held, _) => {
                if let Some(entered) = &self.entered {
                    attempt::abandon(&self.shared, entered.record(), standing).await;
                }
            }
        }
    }

    /// How the run ended, or none if the submitter has left.
    async fn last_word(&mut self) -> Option<(Outcome, Millis)> {
        loop {
            match self.notes.recv().await? {
                Note::End { outcome, at } => return Some((outcome, at)),
                Note::Left { .. } => return None,
                Note::Begin { .. } | Note::Loading(_) | Note::GaveWay => {}
            }
        }
    }

    async fn pause(&self) -> ControlFlow<()> {
        pause(self.attendance()).await
    }

    fn attendance(&self) -> &Attendance {
        self.present.attendance()
    }
}

/// Waits before the store is asked again. It breaks if the run must stop: then there is less to keep.
pub(crate) async fn pause(attendance: &Attendance) -> ControlFlow<()> {
    match timeout(AFTER_ERROR, attendance.record().aborted()).await {
        Ok(_) => ControlFlow::Break(()),
        Err(_) => ControlFlow::Continue(()),
    }
}

/// Shows how long a job that was due at `due` had to wait.
pub(crate) fn waited(shared: &Shared, due: Millis, began: Millis) {
    if let Some(slots) = shared.config.slots.iter().find(|slots| slots.class.is_attended()) {
        shared.parts.metrics.waited(&slots.class, began.since_ms(due));
    }
}

/// Says that the id of a client's job is taken.
pub(crate) fn unkept(id: JobId) {
    error!(job = %id, "there is a job {id} already, so a client's goes on without books");
}

/// Why a job has no end, as a code and for people: its client has left, maybe because the host sent it away.
pub(crate) fn departure(record: &Record) -> (&'static str, &'static str) {
    match record.standing() {
        Standing::Stopping => (code::HOST_STOPPED, "the host stopped"),
        Standing::Held | Standing::Cancelled | Standing::Fenced | Standing::Overdue => {
            (code::CLIENT_LEFT, "the client left")
        }
    }
}

/// What follows from an outcome. Nothing is tried again: the client has its answer.
pub(crate) fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Done { output } => Verdict::Done { output },
        Outcome::Postponed(failure) => Verdict::Fail { failure },
        // No such job has children: it is the host's own.
        Outcome::Awaits(_) => Verdict::Fail {
            failure: Failure::fatal(code::TRAPPED, "a job whose client waits cannot wait itself"),
        },
        Outcome::Failed(failure) => match failure.disposition {
            Disposition::Cancel => Verdict::Cancel { failure },
            Disposition::Retry | Disposition::Fail => Verdict::Fail { failure },
        },
    }
}
