//! The durable queue. Methods are intentions; each is one transaction, and when it returns no crash of
//! the process can undo its effect.
//!
//! Nor can a power failure, where somebody outside is told: a submission, a cancellation, a retry or a
//! deletion is on the disk when it returns. What the engine asks for on its own account (claims,
//! renewals, ends of runs), and the job of a client that waits on a connection, reaches the disk some milliseconds later and before anybody outside is
//! told; a host that loses power in between does it again.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    class::{Class, Slots},
    clock::Millis,
    event::JobEvent,
    id::{FlowId, JobId},
    job::{Attempt, DeadLetters, Filter, Job, LogLine, NewJob},
    lifecycle::Refused,
    mark::Passed,
    past::Past,
    pause::{Pause, Scope},
    preference::Preference,
    rate::Rate,
    run::Run,
    state::State,
    usage::Usage,
};

pub use crate::finish::{Finish, Verdict};

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The run no longer holds the job. Nothing was written.
    #[error("the run no longer holds its job; another one does, or the job has ended")]
    Fenced,
    /// The job's state does not allow it. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No such job.
    #[error("there is no job {0}")]
    NoSuchJob(JobId),
    /// No such flow.
    #[error("there is no flow {0}")]
    NoSuchFlow(FlowId),
    /// A job of a new flow has the id or the unique key of one that is there. Nothing was written.
    #[error("there is a job {0} already, with the id or the unique key of a job of the flow")]
    JobExists(JobId),
    /// The disk or the database failed.
    #[error("the store failed while it tried to {doing}")]
    Broken {
        /// What was tried.
        doing: &'static str,
        /// What it met.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A high-water mark is passed, so that no new job is taken. Nothing was written.
    #[error("the host takes no new jobs now: {0}")]
    Full(Passed),
    /// The disk has no room for it.
    #[error("the disk is full, so the store could not {doing}; make room on it")]
    DiskFull {
        /// What was tried.
        doing: &'static str,
        /// What the database says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host is closing.
    #[error("the store takes nothing any more: the host stops")]
    Closed,
    /// What writes has died, and nothing but another start brings it back.
    #[error("the store has failed and takes nothing until the host is started again")]
    Dead,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A new job.
    Created(JobId),
    /// The same id, the same idempotency key or the same unique key was accepted before; that job stands.
    Existing(JobId),
}

impl Submitted {
    /// The job's id, new or not.
    #[must_use]
    pub fn id(self) -> JobId {
        match self {
            Self::Created(id) | Self::Existing(id) => id,
        }
    }
}

/// A wish for work.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Of this class.
    pub class: Class,
    /// At most so many jobs; never more than there are free slots. Whoever has room for more asks again: no bell
    /// rings for what was left.
    pub limit: u32,
    /// Now.
    pub at: Millis,
    /// Until when the claim holds without a renewal.
    pub lease_until: Millis,
    /// The model to go on with, if one is loaded.
    pub prefer: Option<Preference>,
}

/// A job that now belongs to the caller.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The job, in state `working`.
    pub job: Job,
    /// The right to run it.
    pub run: Run,
    /// Runs before this one that were no attempts, since the job was accepted or last retried.
    pub postponements: u32,
}

/// What a claim got.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The jobs that now belong to the caller.
    pub claimed: Vec<Claimed>,
    /// When to look again: the earliest end of a pause, or of a rate limit that is used up, whatever it keeps back.
    /// Whether that is of this class, only its jobs could tell.
    pub next_at: Option<Millis>,
    /// Jobs that would have been handed out and have failed, because their deadline has passed.
    pub missed: u32,
}

/// What became of a wish to cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun.
    Waiting,
    /// It was running; whoever runs it must stop now.
    Running(Run),
    /// It had ended before, in this state.
    Ended(State),
}

/// What became of a wish to run a job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is queued, at its old place, and its attempts start again.
    Queued,
    /// It waits again for jobs that it needs, and its attempts start again.
    Blocked,
    /// It needs this job, which stays without a result.
    HeldBack(JobId),
    /// It stays what it is: its submitter waited on a connection that is closed.
    NobodyWaits,
    /// It has neither failed nor been cancelled, and stays in this state.
    Unchanged(State),
}

/// What was done to dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Those that are no dead letters any more.
    pub jobs: u32,
    /// Those of the same description that are left, a moment later.
    pub left: u64,
}

/// What the promotion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promoted {
    /// Jobs that moved.
    pub jobs: u32,
    /// When to look again: the next due time, if there is one.
    pub next_at: Option<Millis>,
}

/// What the reaper did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// The runs that have lost their job. One that still goes on must be stopped.
    pub runs: Vec<Run>,
    /// When to look again: the next end of a lease, if there is one.
    pub next_at: Option<Millis>,
}

/// What was done about jobs whose deadline has passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Jobs that have failed.
    pub jobs: u32,
    /// The runs that they had. Each must be stopped.
    pub runs: Vec<Run>,
    /// When to look again: the next deadline, if there is one.
    pub next_at: Option<Millis>,
}

/// Jobs in one state of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The class.
    pub class: Class,
    /// The state.
    pub state: State,
    /// How many.
    pub jobs: u64,
}

/// The queue.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes the classes have these slots. Slots in use are kept until they are free.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_slots(&self, slots: &[Slots]) -> Result<(), StoreError>;

    /// Accepts a job, in state `queued` or, if it is due later, `scheduled`. One with a known
    /// idempotency key is the job of that key, also if it has another id.
    ///
    /// # Errors
    /// [`StoreError::Full`] if a high-water mark is passed and the job is a new one.
    async fn submit(&self, job: NewJob) -> Result<Submitted, StoreError>;

    /// The high-water mark that is passed, because of which no new job is taken now. Reads memory only.
    fn passed_mark(&self) -> Option<Passed>;

    /// Why nothing can be written: what the last transaction met, unless something was written since. Reads memory
    /// only.
    fn failing(&self) -> Option<StoreError>;

    /// Makes the kinds have these rate limits, and the kinds that are not named none. What was taken from
    /// a bucket stays taken.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_rates(&self, rates: &[(String, Rate)]) -> Result<(), StoreError>;

    /// Pauses a class or a kind. A pause that stands is replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pause(&self, pause: Pause) -> Result<(), StoreError>;

    /// Ends a pause. False if there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn resume(&self, scope: Scope) -> Result<bool, StoreError>;

    /// The pauses, also those whose time is over and that nobody has cleared away.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// Hands out the best-ranked queued jobs of a class, each with a slot and a lease; those of the preferred
    /// model before others, if one is and for as long as that lasts. Jobs of a paused
    /// kind or of one whose rate is used up are passed over; one whose concurrency key is taken is parked
    /// until a place of the key is free; one whose deadline has passed fails.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim(&self, claim: Claim) -> Result<Claims, StoreError>;

    /// Hands out exactly this job, with a slot of its class: it has begun at `at`, and the store is told.
    /// None if it is no longer queued, or if no slot is free. Neither a pause nor a rate keeps it back.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn begin(
        &self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Option<Run>, StoreError>;

    /// Keeps a job that was over before the store was told of it: what is kept is what would have been if it had been
    /// submitted, begun and ended, or withdrawn. Returns the state it ended in; none if there is a job of its id.
    ///
    /// # Errors
    /// [`StoreError::Full`] if a high-water mark is passed; [`StoreError::Refused`] if its verdict does not end it.
    async fn keep(&self, past: Arc<Past>) -> Result<Option<State>, StoreError>;

    /// Cancels a job, in any state, because nobody waits for it any more.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`].
    async fn withdraw(&self, id: JobId, reason: &str, at: Millis) -> Result<Cancelled, StoreError>;

    /// Does so with up to `limit` jobs of a class that are queued or run. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn withdraw_all(
        &self,
        class: &Class,
        reason: &str,
        at: Millis,
        limit: u32,
    ) -> Result<u32, StoreError>;

    /// Says whether the run waits for its model (`loading`) or works.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds the job.
    async fn set_loading(&self, run: Run, loading: bool, at: Millis) -> Result<(), StoreError>;

    /// Says that the run waits for its model again, because its call gave way to an urgent one.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds the job.
    async fn gave_way(&self, run: Run, at: Millis) -> Result<(), StoreError>;

    /// Prolongs leases. Returns the runs that no longer hold their job.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn renew(&self, runs: &[Run], lease_until: Millis) -> Result<Vec<Run>, StoreError>;

    /// Ends a run. Returns the state it led to. Of a job that runs again and again, the latest 100 runs and 400 events are
    /// kept.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds the job.
    async fn finish(&self, run: Run, finish: Finish) -> Result<State, StoreError>;

    /// Cancels a job in any state, with its children that are not over, and theirs.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`].
    async fn cancel(&self, id: JobId, at: Millis) -> Result<Cancelled, StoreError>;

    /// Queues a job again that has failed or was cancelled. It keeps its rank and its token; its
    /// attempts and losses start at 0, and it has no deadline any more. In a flow, what failed because of
    /// it comes back with it. Nobody would hear the answer of one whose submitter waited on a connection:
    /// it stays what it is.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`].
    async fn retry(&self, id: JobId, at: Millis) -> Result<Retried, StoreError>;

    /// Does so with up to `limit` dead letters, at most 500, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn retry_many(
        &self,
        which: DeadLetters,
        limit: u32,
        at: Millis,
    ) -> Result<Cleared, StoreError>;

    /// Deletes up to `limit` dead letters, at most 500, the oldest first, with all that belongs to
    /// them. One with a delivery that is not over is kept, and one of a flow or of a parent that is not over.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn purge(&self, which: DeadLetters, limit: u32) -> Result<Cleared, StoreError>;

    /// Deletes up to `limit` jobs that ended in `state` at `until` or earlier, the longest ended first,
    /// with all that belongs to them. One with a delivery that is not over is kept, and one of a flow
    /// or of a parent that is not over. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn retire(&self, state: State, until: Millis, limit: u32) -> Result<u32, StoreError>;

    /// Gives a run back that the host cannot finish because it stops. Counts as no attempt and no loss.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds the job.
    async fn release(&self, run: Run, at: Millis) -> Result<(), StoreError>;

    /// Keeps what a run leaves that was stopped from outside: its attempt is closed, but what its
    /// model calls cost and what it logged are facts. It moves no job. Of an unknown run nothing is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn leave(&self, run: Run, usage: Usage, log: Vec<LogLine>) -> Result<(), StoreError>;

    /// After a start: every run belongs to a dead incarnation, so each is lost at once. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn recover(&self, at: Millis) -> Result<u32, StoreError>;

    /// Takes back up to `limit` runs whose lease has expired.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn reap(&self, at: Millis, limit: u32) -> Result<Reaped, StoreError>;

    /// Queues up to `limit` scheduled jobs that are due.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn promote(&self, at: Millis, limit: u32) -> Result<Promoted, StoreError>;

    /// Fails up to `limit` jobs whose deadline has passed, in whatever state they are, the longest overdue
    /// first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn fail_overdue(&self, at: Millis, limit: u32) -> Result<Overdue, StoreError>;

    /// One job.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// The job that was accepted with this idempotency key, for as long as it is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn job_of_key(&self, key: &str) -> Result<Option<Job>, StoreError>;

    /// A page of jobs, the newest first, without their inputs and outputs, which can be large.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, StoreError>;

    /// The latest 100 runs of a job, the oldest of them first; the present one included.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn attempts(&self, id: JobId) -> Result<Vec<Attempt>, StoreError>;

    /// The events of a job after `seq`, the oldest first, at most 200.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn events(&self, id: JobId, after_seq: i64) -> Result<Vec<JobEvent>, StoreError>;

    /// Returns when everything that was written before is on the disk, for whoever is about to tell somebody
    /// outside what a reader found: it may have been written a moment ago. A store that answers takes writes.
    ///
    /// # Errors
    /// [`StoreError`] if the disk failed.
    async fn synced(&self) -> Result<(), StoreError>;

    /// Jobs by class and state, terminal states left out: cheap at any depth of history.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn counts(&self) -> Result<Vec<Count>, StoreError>;
}
