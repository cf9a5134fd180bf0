//! Flows.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    flow::{Dependency, Flow, NewFlow, OnFailure, Part, RESULTS_BYTES_MAX, Tally, need::broken},
    id::{FlowId, JobId},
    lifecycle::Event,
    ports::{
        flows::{CancelledFlow, Flows, RetriedFlow, SubmittedFlow},
        store::StoreError,
    },
    state::State,
    step::Step,
};

use crate::{Memory, row::Row, store::light, tables::Tables};

/// Flows on one page.
const PAGE_MAX: u32 = 500;

#[async_trait]
impl Flows for Memory {
    async fn submit_flow(&self, flow: NewFlow) -> Result<SubmittedFlow, StoreError> {
        self.write(|tables| tables.submit_flow(flow))
    }

    async fn flow(&self, id: FlowId) -> Result<Option<Flow>, StoreError> {
        let tables = self.tables();
        Ok(tables.flows.get(&id).map(|flow| tables.counted(flow)))
    }

    async fn flow_of_key(&self, key: &str) -> Result<Option<Flow>, StoreError> {
        let tables = self.tables();
        let flow = tables.flow_keys.get(key).and_then(|id| tables.flows.get(id));
        Ok(flow.map(|flow| tables.counted(flow)))
    }

    async fn flows(&self, before: Option<FlowId>, limit: u32) -> Result<Vec<Flow>, StoreError> {
        let tables = self.tables();
        let older = tables.flows.values().rev();
        let older = older.filter(|flow| before.is_none_or(|before| flow.id < before));
        let page = older.take(limit.clamp(1, PAGE_MAX) as usize);
        Ok(page.map(|flow| tables.counted(flow)).collect())
    }

    async fn parts(&self, id: FlowId) -> Result<Vec<Part>, StoreError> {
        let tables = self.tables();
        let part = |row: &Row| Part { job: light(&row.job), needs: row.needs.clone() };
        Ok(tables.of_flow(id).into_iter().map(part).collect())
    }

    async fn dependencies(
        &self,
        job: JobId,
        results: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, StoreError> {
        let mut tables = self.tables();
        tables.break_read()?;
        let needed = tables.row(job)?.needs.clone();
        let needed = needed.iter().filter_map(|need| tables.jobs.get(&need.job));
        let mut needed: Vec<&Row> = needed.collect();
        needed.sort_by_key(|row| row.place);
        let mut all: Vec<Dependency> =
            needed.into_iter().map(|row| dependency(row, results)).collect();
        let bytes: usize = all.iter().filter_map(|one| one.output.as_ref()).map(String::len).sum();
        if bytes > RESULTS_BYTES_MAX {
            all.iter_mut().for_each(|one| one.output = None);
        }
        Ok(all)
    }

    async fn cancel_flow(&self, id: FlowId, at: Millis) -> Result<CancelledFlow, StoreError> {
        self.write(|tables| {
            tables.check_flow(id)?;
            let rows = tables.of_flow(id).into_iter().filter(|row| !row.job.state.is_terminal());
            let open: Vec<(JobId, _)> = rows
                .map(|row| (row.job.id, row.job.state.is_running().then(|| row.run())))
                .collect();
            for (job, _) in &open {
                let step = Step::because(Event::Cancelled, at, "cancelled with its flow");
                tables.make_alone(*job, step)?;
                tables.follow_family(*job, at)?;
            }
            let jobs = u32::try_from(open.len()).unwrap_or(u32::MAX);
            Ok(CancelledFlow { jobs, runs: open.into_iter().filter_map(|(_, run)| run).collect() })
        })
    }

    async fn retry_flow(&self, id: FlowId, at: Millis) -> Result<RetriedFlow, StoreError> {
        self.write(|tables| {
            tables.check_flow(id)?;
            let rows = tables.of_flow(id).into_iter();
            let wanted = rows
                .filter(|row| matches!(row.job.state, State::Failed | State::Cancelled))
                .map(|row| row.job.id)
                .collect();
            let retry = tables.retry_of_flow(id, &wanted, at)?;
            let count = |jobs: usize| u32::try_from(jobs).unwrap_or(u32::MAX);
            Ok(RetriedFlow {
                jobs: count(retry.back.len()),
                held_back: count(retry.held_back.len()),
            })
        })
    }

    async fn mend_waits(&self, at: Millis, limit: u32) -> Result<Vec<JobId>, StoreError> {
        self.write(|tables| {
            let blocked = tables.jobs.values().filter(|row| row.job.state == State::Blocked);
            let blocked: Vec<(JobId, u32)> = blocked
                .filter(|row| !row.is_parked && row.awaited.is_empty())
                .map(|row| (row.job.id, row.waits()))
                .collect();
            let is_wrong =
                |(id, waits): &&(JobId, u32)| *waits == 0 || *waits != tables.needs(*id).0;
            let wrong = blocked.iter().filter(is_wrong).map(|(id, _)| *id);
            let wrong: Vec<JobId> = wrong.take(limit as usize).collect();
            for id in &wrong {
                tables.mend(*id, at)?;
            }
            Ok(wrong)
        })
    }
}

impl Tables {
    fn submit_flow(&mut self, flow: NewFlow) -> Result<SubmittedFlow, StoreError> {
        let of_key = flow.idempotency_key.as_ref().and_then(|key| self.flow_keys.get(key));
        if let Some(known) = of_key.or(self.flows.get(&flow.id).map(|known| &known.id)) {
            return Ok(SubmittedFlow::Existing(*known));
        }
        self.check_marks()?;
        for job in &flow.jobs {
            let known = self.jobs.contains_key(&job.id).then_some(job.id);
            if let Some(holder) = known.or_else(|| self.unique_holder(job)) {
                return Err(StoreError::JobExists(holder));
            }
        }
        flow.jobs.iter().for_each(|job| self.insert(job));
        self.flow_keys.extend(flow.idempotency_key.map(|key| (key, flow.id)));
        let kept = Flow {
            id: flow.id,
            name: flow.name,
            digest: flow.digest,
            enqueued_at: flow.enqueued_at,
            jobs: u32::try_from(flow.jobs.len()).unwrap_or(u32::MAX),
            tallies: Vec::new(),
            last_end: None,
        };
        self.flows.insert(flow.id, kept);
        Ok(SubmittedFlow::Created(flow.id))
    }

    fn check_flow(&self, id: FlowId) -> Result<(), StoreError> {
        if self.flows.contains_key(&id) { Ok(()) } else { Err(StoreError::NoSuchFlow(id)) }
    }

    /// Lets a blocked job wait for what it needs, or go, or fail.
    fn mend(&mut self, id: JobId, at: Millis) -> Result<(), StoreError> {
        let (open, is_broken) = self.needs(id);
        if let Some((needed, state)) = is_broken {
            let failure = broken(&needed.to_string(), state, None);
            return self.make(id, Step::failed(Event::DependencyFailed, at, failure)).map(drop);
        }
        let row = self.row(id)?;
        if let Some(member) = &mut row.job.member {
            member.waits = open;
        }
        let delay_ms = row.job.run_at.since_ms(at);
        match open {
            0 => self.make(id, Step::new(Event::Unblocked { delay_ms }, at)).map(drop),
            1.. => Ok(()),
        }
    }

    /// The flow with its jobs counted.
    fn counted(&self, flow: &Flow) -> Flow {
        let rows = self.of_flow(flow.id);
        let mut tallies: BTreeMap<(&str, bool), Tally> = BTreeMap::new();
        for row in &rows {
            let state = row.job.state;
            let is_ignored = self.is_ignored(&row.job.id, state);
            let tally = Tally { state, is_ignored, jobs: 0 };
            tallies.entry((state.as_str(), is_ignored)).or_insert(tally).jobs += 1;
        }
        let last_end = rows.iter().filter_map(|row| row.job.finished_at).max();
        Flow { tallies: tallies.into_values().collect(), last_end, ..flow.clone() }
    }

    /// Whether a failure is none of its flow, because all that need the job ignore it.
    fn is_ignored(&self, id: &JobId, state: State) -> bool {
        let edges = self.jobs.values().flat_map(|row| &row.needs).filter(|need| need.job == *id);
        let mut rules = edges.map(|need| need.on_failure).peekable();
        matches!(state, State::Failed | State::Cancelled)
            && rules.peek().is_some()
            && rules.all(|rule| rule == OnFailure::Ignore)
    }
}

fn dependency(row: &Row, results: &BTreeSet<String>) -> Dependency {
    let name = row.job.member.as_ref().map_or_else(String::new, |member| member.name.clone());
    Dependency {
        job: row.job.id,
        state: row.job.state,
        output_bytes: row.job.output.as_ref().map_or(0, String::len),
        output: row.job.output.clone().filter(|_| results.contains(&name)),
        failure: row.job.failure.clone(),
        name,
    }
}
