//! The flows, in memory. A flow is put there as it is to be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    flow::{Dependency, Flow, FlowState, NewFlow, Part},
    id::{FlowId, JobId},
    ports::{
        flows::{CancelledFlow, Flows, RetriedFlow, SubmittedFlow},
        store::StoreError,
    },
};

#[derive(Default)]
pub(crate) struct FakeFlows {
    flows: Mutex<BTreeMap<FlowId, Flow>>,
    parts: Mutex<BTreeMap<FlowId, Vec<Part>>>,
    keys: Mutex<BTreeMap<String, FlowId>>,
    submitted: Mutex<Vec<NewFlow>>,
    racer: Mutex<Option<Flow>>,
    taken: Mutex<Option<JobId>>,
    retried: Mutex<RetriedFlow>,
}

impl FakeFlows {
    pub(crate) fn put(&self, flow: Flow) {
        self.flows.lock().unwrap().insert(flow.id, flow);
    }

    pub(crate) fn put_parts(&self, id: FlowId, parts: Vec<Part>) {
        self.parts.lock().unwrap().insert(id, parts);
    }

    /// A flow that was submitted with an idempotency key.
    pub(crate) fn put_keyed(&self, key: &str, flow: Flow) {
        self.keys.lock().unwrap().insert(key.to_owned(), flow.id);
        self.put(flow);
    }

    pub(crate) fn submitted(&self) -> Vec<NewFlow> {
        self.submitted.lock().unwrap().clone()
    }

    /// The next submission finds that this flow came in just before it.
    pub(crate) fn win_the_race_with(&self, flow: Flow) {
        *self.racer.lock().unwrap() = Some(flow);
    }

    /// The next submission finds that there is such a job.
    pub(crate) fn take_job_id(&self, id: JobId) {
        *self.taken.lock().unwrap() = Some(id);
    }

    /// What the next retry does.
    pub(crate) fn retry_as(&self, retried: RetriedFlow) {
        *self.retried.lock().unwrap() = retried;
    }

    /// What a cancellation does.
    pub(crate) fn cancel(&self, id: FlowId) -> Result<CancelledFlow, StoreError> {
        let flows = self.flows.lock().unwrap();
        let flow = flows.get(&id).ok_or(StoreError::NoSuchFlow(id))?;
        let open = flow.tallies.iter().filter(|tally| !tally.state.is_terminal());
        let jobs = open.map(|tally| tally.jobs).sum();
        assert_eq!(jobs == 0, flow.state() != FlowState::Running);
        Ok(CancelledFlow { jobs, runs: Vec::new() })
    }
}

#[async_trait]
impl Flows for FakeFlows {
    async fn submit_flow(&self, flow: NewFlow) -> Result<SubmittedFlow, StoreError> {
        if let Some(id) = self.taken.lock().unwrap().take() {
            return Err(StoreError::JobExists(id));
        }
        if let Some(racer) = self.racer.lock().unwrap().take() {
            let id = racer.id;
            match flow.idempotency_key {
                Some(key) => self.put_keyed(&key, racer),
                None => self.put(racer),
            }
            return Ok(SubmittedFlow::Existing(id));
        }
        let id = flow.id;
        self.submitted.lock().unwrap().push(flow);
        Ok(SubmittedFlow::Created(id))
    }

    async fn flow(&self, id: FlowId) -> Result<Option<Flow>, StoreError> {
        Ok(self.flows.lock().unwrap().get(&id).cloned())
    }

    async fn flow_of_key(&self, key: &str) -> Result<Option<Flow>, StoreError> {
        let id = self.keys.lock().unwrap().get(key).copied();
        Ok(id.and_then(|id| self.flows.lock().unwrap().get(&id).cloned()))
    }

    async fn flows(&self, before: Option<FlowId>, limit: u32) -> Result<Vec<Flow>, StoreError> {
        let flows = self.flows.lock().unwrap();
        let older = flows.values().rev().filter(|flow| before.is_none_or(|id| flow.id < id));
        Ok(older.take(limit as usize).cloned().collect())
    }

    async fn parts(&self, id: FlowId) -> Result<Vec<Part>, StoreError> {
        Ok(self.parts.lock().unwrap().get(&id).cloned().unwrap_or_default())
    }

    async fn retry_flow(&self, id: FlowId, _: Millis) -> Result<RetriedFlow, StoreError> {
        let is_known = self.flows.lock().unwrap().contains_key(&id);
        is_known.then(|| *self.retried.lock().unwrap()).ok_or(StoreError::NoSuchFlow(id))
    }

    async fn dependencies(
        &self,
        _: JobId,
        _: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, StoreError> {
        unreachable!("the engine's")
    }
    async fn cancel_flow(&self, _: FlowId, _: Millis) -> Result<CancelledFlow, StoreError> {
        unreachable!("the engine's")
    }
    async fn mend_waits(&self, _: Millis, _: u32) -> Result<Vec<JobId>, StoreError> {
        unreachable!("the engine's")
    }
}
