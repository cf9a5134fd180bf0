//! Flows in the durable queue. As in [`super::store`], methods are intentions, each is one transaction,
//! and when it returns its effect is on disk.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::store::StoreError;
use crate::{
    clock::Millis,
    flow::{Dependency, Flow, NewFlow, Part},
    id::{FlowId, JobId},
    run::Run,
};

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmittedFlow {
    /// A new flow.
    Created(FlowId),
    /// The same id or the same idempotency key was accepted before; that flow stands.
    Existing(FlowId),
}

/// What became of a wish to cancel a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelledFlow {
    /// Jobs that were cancelled; none if the flow was over.
    pub jobs: u32,
    /// Those of them that were running; whoever runs them must stop now.
    pub runs: Vec<Run>,
}

/// What became of a wish to run the failed and cancelled jobs of a flow again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetriedFlow {
    /// Jobs that are queued again, or wait again for others.
    pub jobs: u32,
    /// Jobs that stay what they are, because they need one that was deleted.
    pub held_back: u32,
}

/// The flows of the queue. A job of a flow is moved by [`super::store::Store`], like any other, and in
/// the transaction that ends it the jobs that need it are released or failed.
#[async_trait]
pub trait Flows: Send + Sync {
    /// Accepts a flow, all its jobs or none. A job with needs is `blocked`. A flow with a known
    /// idempotency key is the flow of that key, also if it has another id.
    ///
    /// # Errors
    /// [`StoreError::JobExists`], or [`StoreError::Full`] if a high-water mark is passed and the flow is a
    /// new one.
    async fn submit_flow(&self, flow: NewFlow) -> Result<SubmittedFlow, StoreError>;

    /// One flow.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn flow(&self, id: FlowId) -> Result<Option<Flow>, StoreError>;

    /// The flow that was accepted with this idempotency key, for as long as it is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn flow_of_key(&self, key: &str) -> Result<Option<Flow>, StoreError>;

    /// Up to `limit` flows, at most 500, older than `before`, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn flows(&self, before: Option<FlowId>, limit: u32) -> Result<Vec<Flow>, StoreError>;

    /// The jobs of a flow with what they need, in the order of the submission.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn parts(&self, id: FlowId) -> Result<Vec<Part>, StoreError>;

    /// The jobs that a job needs and that are kept, in the order in which their flow was submitted, with the
    /// results of those named in `results`, unless these are larger than [`crate::flow::RESULTS_BYTES_MAX`] together.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dependencies(
        &self,
        job: JobId,
        results: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, StoreError>;

    /// Cancels all jobs of a flow that are not over.
    ///
    /// # Errors
    /// [`StoreError::NoSuchFlow`].
    async fn cancel_flow(&self, id: FlowId, at: Millis) -> Result<CancelledFlow, StoreError>;

    /// Runs all jobs of a flow again that have failed or were cancelled, each after those that it needs.
    ///
    /// # Errors
    /// [`StoreError::NoSuchFlow`].
    async fn retry_flow(&self, id: FlowId, at: Millis) -> Result<RetriedFlow, StoreError>;

    /// Mends up to `limit` blocked jobs whose count of what they wait for is wrong, and returns them.
    /// There are none, unless a hand or a bug was in the store.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn mend_waits(&self, at: Millis, limit: u32) -> Result<Vec<JobId>, StoreError>;
}
