//! What the HTTP surface may ask of the engine.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    attended::Attended,
    flows::CancelledFlow,
    store::{Cancelled, StoreError},
};
use crate::{
    event::Live,
    id::{FlowId, JobId},
    job::NewJob,
};

/// The engine as its operators see it.
#[async_trait]
pub trait Control: Send + Sync {
    /// Cancels a job and stops its run at once, also inside a host call.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`].
    async fn cancel(&self, id: JobId) -> Result<Cancelled, StoreError>;

    /// Cancels all jobs of a flow that are not over, and stops their runs at once.
    ///
    /// # Errors
    /// [`StoreError::NoSuchFlow`].
    async fn cancel_flow(&self, id: FlowId) -> Result<CancelledFlow, StoreError>;

    /// Accepts a job whose submitter waits. Returns at once. It becomes one of class
    /// [`crate::class::CLIENT`], due now, with one attempt and without keys.
    fn attend(&self, job: NewJob) -> Arc<dyn Attended>;

    /// Has a job whose submitter waits written to the store as it is now, if it is not yet, and returns then. At once if the job
    /// is none: whoever is asked for a job by its id asks this first.
    async fn written(&self, id: JobId);

    /// What a running job shows, or none if it does not run here.
    fn live(&self, id: JobId) -> Option<Live>;

    /// A watch on one job. Everything that happens after this call wakes it.
    fn watch(&self, id: JobId) -> Box<dyn Watch>;

    /// Whether the host has begun to stop and takes no new work.
    fn is_stopping(&self) -> bool;
}

/// A watch on one job. It carries no facts: whoever is woken reads the store and [`Control::live`].
#[async_trait]
pub trait Watch: Send {
    /// Returns when something may have happened since the last call.
    async fn changed(&mut self);
}
