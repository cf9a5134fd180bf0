//! Children in the durable queue. As in [`super::store`], methods are intentions, each is one transaction.
//! A child is moved by [`super::store::Store`], like any other job, and in the transaction that ends the
//! last child that a job waits for, that job is queued again.

use async_trait::async_trait;

use super::store::StoreError;
use crate::{
    child::{Family, NewChild, SubmittedChild},
    flow::Dependency,
    id::JobId,
    run::Run,
};

/// The children of jobs.
#[async_trait]
pub trait Children: Send + Sync {
    /// Accepts a child of the job of `run`. One of a known name is the child of that name; see
    /// [`crate::child`] for when it runs again.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds its job, or [`StoreError::Full`] if a high-water mark
    /// is passed and the child is a new one.
    async fn submit_child(&self, run: Run, child: NewChild) -> Result<SubmittedChild, StoreError>;

    /// Those of the jobs `ids` that are children of `parent`, in no order, with their results, unless these
    /// are larger than [`crate::flow::RESULTS_BYTES_MAX`] together.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn children(&self, parent: JobId, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError>;

    /// The relatives of a job, with up to `limit` of its children; none if there is no such job.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn family(&self, id: JobId, limit: u32) -> Result<Option<Family>, StoreError>;
}
