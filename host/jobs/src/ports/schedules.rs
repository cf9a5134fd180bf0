//! What is remembered of schedules: which fires have been handled.

use async_trait::async_trait;

use super::store::StoreError;
use crate::{clock::Millis, id::JobId, job::NewJob, schedule::Overlap};

/// The fires of one schedule up to an instant, to be handled together.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The schedule's id.
    pub schedule: String,
    /// Fires up to here are handled, whether they run or not.
    pub up_to: Millis,
    /// The jobs of the fires that run; each carries its fire.
    pub jobs: Vec<NewJob>,
    /// Whether a job runs while an earlier one of the schedule has not ended.
    pub overlap: Overlap,
}

/// The memory of schedules.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// The instant up to which the schedule's fires are handled. A schedule seen for the first time
    /// starts at `now`: it does not catch up on a past it did not have.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn handled_up_to(&self, schedule: &str, now: Millis) -> Result<Millis, StoreError>;

    /// Submits the jobs of fires, each fire at most once until it is forgotten, in one transaction. Returns the
    /// jobs that were new and did not overlap.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settle(&self, settlement: Settlement) -> Result<Vec<JobId>, StoreError>;

    /// Forgets up to `limit` fires of `until` or earlier, the earliest first. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forget_fires(&self, until: Millis, limit: u32) -> Result<u32, StoreError>;
}
