//! Flows.

use std::collections::BTreeSet;

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    flow::{Dependency, Flow, NewFlow, Part},
    id::{FlowId, JobId},
    ports::{
        flows::{CancelledFlow, Flows, RetriedFlow, SubmittedFlow},
        store::StoreError,
    },
};

use super::{Frail, store::wanted};
use crate::history::{Answer, Request};

#[async_trait]
impl Flows for Frail {
    async fn submit_flow(&self, flow: NewFlow) -> Result<SubmittedFlow, StoreError> {
        let request = Request::SubmitFlow(flow.jobs.iter().map(wanted).collect());
        let jobs = flow.jobs.iter().map(|job| job.id).collect();
        self.noted(request, self.inner.submit_flow(flow), |_| Answer::Accepted(jobs)).await
    }

    async fn flow(&self, id: FlowId) -> Result<Option<Flow>, StoreError> {
        self.cross(self.inner.flow(id)).await
    }

    async fn flow_of_key(&self, key: &str) -> Result<Option<Flow>, StoreError> {
        self.cross(self.inner.flow_of_key(key)).await
    }

    async fn flows(&self, before: Option<FlowId>, limit: u32) -> Result<Vec<Flow>, StoreError> {
        self.cross(self.inner.flows(before, limit)).await
    }

    async fn parts(&self, id: FlowId) -> Result<Vec<Part>, StoreError> {
        self.cross(self.inner.parts(id)).await
    }

    async fn dependencies(
        &self,
        job: JobId,
        results: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, StoreError> {
        self.cross(self.inner.dependencies(job, results)).await
    }

    async fn cancel_flow(&self, id: FlowId, at: Millis) -> Result<CancelledFlow, StoreError> {
        let call = self.inner.cancel_flow(id, at);
        self.noted(Request::CancelFlow(id), call, |it| Answer::Lost(it.runs.clone())).await
    }

    async fn retry_flow(&self, id: FlowId, at: Millis) -> Result<RetriedFlow, StoreError> {
        let call = self.inner.retry_flow(id, at);
        self.noted(Request::RetryFlow(id), call, |it| Answer::Jobs(it.jobs)).await
    }

    async fn mend_waits(&self, at: Millis, limit: u32) -> Result<Vec<JobId>, StoreError> {
        self.cross(self.inner.mend_waits(at, limit)).await
    }
}
