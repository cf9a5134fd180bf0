//! Jobs whose submitters wait on open connections.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    runner::{Outcome, Supervisor},
    store::StoreError,
};
use crate::id::JobId;

/// A job whose submitter waits for its answer on an open connection. Nothing here waits for the store:
/// what is said is kept in the background, in its order. Dropping it without [`Attended::end`] says that
/// the submitter has left: the job is cancelled.
#[async_trait]
pub trait Attended: Send + Sync {
    /// The job.
    fn id(&self) -> JobId;

    /// What the run may ask and tell.
    fn supervisor(&self) -> Arc<dyn Supervisor>;

    /// Its turn has come: it is queued no longer.
    fn begin(&self);

    /// Returns once the run must stop, with the reason.
    async fn halted(&self) -> Halt;

    /// It is over. Later calls change nothing.
    fn end(&self, outcome: Outcome);
}

/// Why the run of an attended job must stop.
#[derive(Debug)]
pub enum Halt {
    /// It was cancelled, or has lost the job.
    Cancelled,
    /// The host stops.
    Stopping,
    /// The queue takes no new jobs. Nothing of it is kept.
    Refused(StoreError),
}
