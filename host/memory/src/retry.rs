//! Running again what has failed or was cancelled.

use std::collections::BTreeSet;

use roughneck_jobs::{
    clock::Millis,
    failure::code,
    flow::{
        Need,
        retry::{Known, Retry, retry},
    },
    id::{FlowId, JobId},
    job::DeadLetters,
    lifecycle::Event,
    ports::store::{Cleared, Retried, StoreError},
    state::State,
    step::Step,
};

use crate::{row::Row, tables::Tables};

impl Tables {
    /// Queues a job again.
    pub(crate) fn retry(&mut self, id: JobId, at: Millis) -> Result<Retried, StoreError> {
        let job = &self.row(id)?.job;
        if !matches!(job.state, State::Failed | State::Cancelled) {
            return Ok(Retried::Unchanged(job.state));
        }
        if job.class.is_attended() {
            return Ok(Retried::NobodyWaits);
        }
        let Some(flow) = job.member.as_ref().map(|member| member.flow) else {
            self.make(id, Step::because(Event::Retried, at, "retried on request"))?;
            return Ok(Retried::Queued);
        };
        let retry = self.retry_of_flow(flow, &BTreeSet::from([id]), at)?;
        if let Some((_, needed)) = retry.held_back.first() {
            return Ok(Retried::HeldBack(*needed));
        }
        let waits = retry.back.iter().any(|(job, waits)| *job == id && *waits > 0);
        Ok(if waits { Retried::Blocked } else { Retried::Queued })
    }

    /// Queues dead letters again, the oldest first.
    pub(crate) fn retry_many(
        &mut self,
        which: &DeadLetters,
        limit: u32,
        at: Millis,
    ) -> Result<Cleared, StoreError> {
        let mut jobs = 0;
        for id in self.dead(which) {
            if jobs < limit && self.row(id)?.job.state == State::Failed {
                let retried = self.retry(id, at)?;
                jobs += u32::from(matches!(retried, Retried::Queued | Retried::Blocked));
            }
        }
        let left = u64::try_from(self.dead(which).len()).unwrap_or(u64::MAX);
        Ok(Cleared { jobs, left })
    }

    /// Runs jobs of one flow again, with those that failed because of them.
    pub(crate) fn retry_of_flow(
        &mut self,
        flow: FlowId,
        wanted: &BTreeSet<JobId>,
        at: Millis,
    ) -> Result<Retry, StoreError> {
        let rows = self.of_flow(flow);
        let known: Vec<Known> = rows.iter().map(|row| known(row)).collect();
        let needs = rows.iter().flat_map(|row| row.needs.iter().map(|need| (row.job.id, *need)));
        let needs: Vec<(JobId, Need)> = needs.collect();
        let retry = retry(&known, &needs, wanted);
        for (job, waits) in &retry.back {
            let event = if *waits == 0 { Event::Retried } else { Event::RetriedBlocked };
            let step = Step { waits: *waits, ..Step::because(event, at, "retried on request") };
            self.make_alone(*job, step)?;
        }
        for (job, waits) in &retry.waiting {
            if let Some(member) = &mut self.row(*job)?.job.member {
                member.waits = *waits;
            }
        }
        Ok(retry)
    }

    /// The jobs of a flow, in the order of the submission.
    pub(crate) fn of_flow(&self, flow: FlowId) -> Vec<&Row> {
        let is_of_it = |row: &&Row| row.job.member.as_ref().is_some_and(|it| it.flow == flow);
        let mut rows: Vec<&Row> = self.jobs.values().filter(is_of_it).collect();
        rows.sort_by_key(|row| row.place);
        rows
    }
}

fn known(row: &Row) -> Known {
    let code = row.job.failure.as_ref().map(|failure| failure.code.as_str());
    let state = row.job.state;
    let is_dependency_failed = state == State::Failed && code == Some(code::DEPENDENCY_FAILED);
    Known { job: row.job.id, state, is_dependency_failed, is_waiting: row.waits() > 0 }
}
