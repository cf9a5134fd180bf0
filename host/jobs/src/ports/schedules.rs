//! The schedules that were made over HTTP, and what is remembered of all: which fires have been
//! handled, and which schedules are paused.

use async_trait::async_trait;

use super::store::StoreError;
use crate::{
    clock::Millis,
    id::JobId,
    job::NewJob,
    schedule::{Kept, Overlap, Pause, Spec},
};

/// The fires of one schedule up to an instant, to be handled together.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The schedule's id.
    pub schedule: String,
    /// The revision that it was decided for.
    pub revision: i64,
    /// Fires up to here are handled, whether they run or not.
    pub up_to: Millis,
    /// The jobs of the fires that run; each carries its fire.
    pub jobs: Vec<NewJob>,
    /// Fires that passed and do not run.
    pub missed: u32,
    /// Whether a job runs while an earlier one of the schedule has not ended.
    pub overlap: Overlap,
}

/// What became of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is written, with these jobs: those whose fire was new and did not overlap.
    Submitted(Vec<JobId>),
    /// The schedule was changed, paused or deleted since it was read. Nothing was written.
    Stale,
}

/// What became of a new schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New,
    /// One of this id is there already, and stands as it is.
    Exists,
    /// There are as many as there may be.
    Full,
}

/// The memory of schedules. Each change rings [`super::bell::Change::Schedule`].
#[async_trait]
pub trait Schedules: Send + Sync {
    /// All that is kept, by id. The inputs of schedules, which can be large, are left empty. What
    /// cannot be read is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn schedules(&self) -> Result<Vec<Kept>, StoreError>;

    /// What is kept of one schedule, whole.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn schedule(&self, id: &str) -> Result<Option<Kept>, StoreError>;

    /// Remembers a schedule of a manifest. One that is new starts at `now`, and so does one with
    /// another [`Spec::timing`] than before: neither catches up on a past it did not have.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remember_schedule(
        &self,
        id: &str,
        timing: &str,
        now: Millis,
    ) -> Result<Kept, StoreError>;

    /// Makes a schedule, which starts at `at`, unless there are `max` already.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn create_schedule(
        &self,
        spec: Spec,
        pause: Option<Pause>,
        at: Millis,
        max: u32,
    ) -> Result<Created, StoreError>;

    /// Changes a schedule that was made. With another timing it starts anew at `at`. False if there is
    /// none of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn change_schedule(&self, spec: Spec, at: Millis) -> Result<bool, StoreError>;

    /// Deletes a schedule that was made. Its jobs and fires stay. False if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delete_schedule(&self, id: &str) -> Result<bool, StoreError>;

    /// Lets a schedule fire nothing. One that is paused already stays as it is. False if nothing is
    /// kept of it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pause_schedule(&self, id: &str, pause: Pause) -> Result<bool, StoreError>;

    /// Lets a paused schedule fire again, from `at` on: what it missed meanwhile is no miss. False if
    /// nothing is kept of it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn resume_schedule(&self, id: &str, at: Millis) -> Result<bool, StoreError>;

    /// Submits the jobs of fires, each fire at most once until it is forgotten, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there are jobs and a high-water mark is passed: the fires are not handled.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError>;

    /// Forgets up to `limit` fires of `until` or earlier, the earliest first. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forget_fires(&self, until: Millis, limit: u32) -> Result<u32, StoreError>;
}
