//! Flows in memory: what an edge means is the domain's to say, and here every edge is looked at after
//! every end.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use roughneck_jobs::{
    class::Class,
    clock::Millis,
    flow::{
        Dependency, Flow, Need, NewFlow, Part,
        need::{Standing, broken, standing},
    },
    id::{FlowId, JobId},
    lifecycle::Event,
    ports::{
        bell::Change,
        flows::{CancelledFlow, Flows, RetriedFlow, SubmittedFlow},
        store::StoreError,
    },
    run::Run,
    state::State,
};

use super::{Memory, Tables, apply};

impl Memory {
    /// Lets a blocked job wait for one more than it needs.
    pub(crate) fn miscount(&self, id: JobId) {
        self.lock().miscounted.insert(id);
    }

    pub(crate) fn break_reads(&self, count: u32) {
        self.lock().broken_reads = count;
    }
}

impl Tables {
    /// Releases or fails whatever waits for what is over, and returns the classes that have work.
    pub(super) fn follow(&mut self, at: Millis) -> BTreeSet<Class> {
        let mut ready = BTreeSet::new();
        loop {
            let states: BTreeMap<JobId, State> =
                self.jobs.iter().map(|(id, row)| (*id, row.job.state)).collect();
            let mut is_over = true;
            for row in self.jobs.values_mut().filter(|row| row.job.state == State::Blocked) {
                let stands = |of: Standing| {
                    let needs = row.needs.iter();
                    let needed = |need: &Need| states.get(&need.job).copied();
                    needs.filter(|need| standing(needed(need), need.on_failure) == of).count()
                };
                let miscounted = usize::from(self.miscounted.contains(&row.job.id));
                let is_open =
                    |id: &&JobId| states.get(id).is_some_and(|state| !state.is_terminal());
                let waits = match row.awaited.iter().filter(is_open).count() {
                    0 if row.awaited.is_empty() => stands(Standing::Open) + miscounted,
                    children => children,
                };
                let is_broken = row.awaited.is_empty() && stands(Standing::Broken) > 0;
                if is_broken {
                    apply(row, Event::DependencyFailed, at).unwrap();
                    row.job.failure = Some(broken("it", Some(State::Failed), None));
                    is_over = false;
                } else if waits == 0 {
                    let delay_ms = row.job.run_at.since_ms(at);
                    apply(row, Event::Unblocked { delay_ms }, at).unwrap();
                    row.awaited.clear();
                    ready.insert(row.job.class.clone());
                } else if let Some(member) =
                    row.job.member.as_mut().filter(|_| row.awaited.is_empty())
                {
                    member.waits = u32::try_from(waits).unwrap();
                }
            }
            if is_over {
                return ready;
            }
        }
    }
}

#[async_trait]
impl Flows for Memory {
    async fn submit_flow(&self, flow: NewFlow) -> Result<SubmittedFlow, StoreError> {
        for job in &flow.jobs {
            self.submit_silently(job);
            self.bell.ring(Change::Class(job.class.clone()));
        }
        let id = flow.id;
        let kept = Flow {
            id,
            name: flow.name,
            digest: flow.digest,
            enqueued_at: flow.enqueued_at,
            jobs: u32::try_from(flow.jobs.len()).unwrap(),
            tallies: Vec::new(),
            last_end: None,
        };
        self.lock().flows.insert(id, kept);
        Ok(SubmittedFlow::Created(id))
    }

    async fn flow(&self, id: FlowId) -> Result<Option<Flow>, StoreError> {
        Ok(self.lock().flows.get(&id).cloned())
    }

    async fn flow_of_key(&self, _key: &str) -> Result<Option<Flow>, StoreError> {
        unreachable!("the HTTP surface's")
    }

    async fn flows(&self, _: Option<FlowId>, _limit: u32) -> Result<Vec<Flow>, StoreError> {
        unreachable!("the HTTP surface's")
    }

    async fn parts(&self, _id: FlowId) -> Result<Vec<Part>, StoreError> {
        unreachable!("the HTTP surface's")
    }

    async fn dependencies(
        &self,
        job: JobId,
        results: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, StoreError> {
        let mut tables = self.lock();
        if tables.broken_reads > 0 {
            tables.broken_reads -= 1;
            return Err(StoreError::Broken { doing: "read", source: "the disk is away".into() });
        }
        let needed = tables.jobs[&job].needs.iter().filter_map(|need| tables.jobs.get(&need.job));
        let dependency = |row: &super::Row| {
            let name = row.job.member.clone().unwrap().name;
            let output = row.job.output.clone().filter(|_| results.contains(&name));
            Dependency {
                name,
                job: row.job.id,
                state: row.job.state,
                output_bytes: row.job.output.as_ref().map_or(0, String::len),
                output,
                failure: row.job.failure.clone(),
            }
        };
        Ok(needed.map(dependency).collect())
    }

    async fn cancel_flow(&self, id: FlowId, at: Millis) -> Result<CancelledFlow, StoreError> {
        let mut tables = self.lock();
        let mut cancelled = CancelledFlow::default();
        for row in tables.jobs.values_mut() {
            let is_meant = row.job.member.as_ref().is_some_and(|member| member.flow == id);
            if is_meant && !row.job.state.is_terminal() {
                if row.job.state.is_running() {
                    cancelled.runs.push(Run { job: row.job.id, token: row.token });
                }
                apply(row, Event::Cancelled, at)?;
                cancelled.jobs += 1;
            }
        }
        Ok(cancelled)
    }

    async fn retry_flow(&self, _id: FlowId, _at: Millis) -> Result<RetriedFlow, StoreError> {
        unreachable!("the HTTP surface's")
    }

    async fn mend_waits(&self, at: Millis, _limit: u32) -> Result<Vec<JobId>, StoreError> {
        let mut tables = self.lock();
        let mended = std::mem::take(&mut tables.miscounted).into_iter().collect();
        let ready = tables.follow(at);
        drop(tables);
        ready.into_iter().for_each(|class| self.bell.ring(Change::Class(class)));
        Ok(mended)
    }
}
