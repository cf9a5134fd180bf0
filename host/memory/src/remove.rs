//! Deleting jobs that have ended.

use roughneck_jobs::{
    clock::Millis,
    delivery::DeliveryState,
    id::{FlowId, JobId},
    job::{DeadLetters, Job},
    ports::store::Cleared,
    state::State,
};

use crate::tables::Tables;

impl Tables {
    /// The dead letters that are meant, the oldest first.
    pub(crate) fn dead(&self, which: &DeadLetters) -> Vec<JobId> {
        let rows = self.jobs.values().map(|row| &row.job);
        let dead = rows.filter(|job| which.include(job));
        dead.map(|job| job.id).collect()
    }

    /// Deletes dead letters.
    pub(crate) fn purge(&mut self, which: &DeadLetters, limit: u32) -> Cleared {
        let mut dead = self.dead(which);
        dead.retain(|id| self.may_go(*id));
        dead.truncate(limit as usize);
        let jobs = self.delete(&dead);
        Cleared { jobs, left: u64::try_from(self.dead(which).len()).unwrap_or(u64::MAX) }
    }

    /// Deletes jobs that ended in `state` at `until` or earlier.
    pub(crate) fn retire(&mut self, state: State, until: Millis, limit: u32) -> u32 {
        let rows = self.jobs.values().map(|row| &row.job).filter(|job| job.state == state);
        let ended = rows.filter_map(|job| Some((job.finished_at?, job.id)));
        let mut old: Vec<_> = ended.filter(|(at, id)| *at <= until && self.may_go(*id)).collect();
        old.sort_unstable();
        let old: Vec<JobId> = old.into_iter().map(|(_, id)| id).take(limit as usize).collect();
        self.delete(&old)
    }

    /// Whether nothing keeps a job that has ended: no webhook, no flow and no parent that is not over.
    fn may_go(&self, id: JobId) -> bool {
        let is_open = |state: DeliveryState| state == DeliveryState::Pending;
        let is_told = !self.deliveries.iter().any(|one| one.job == id && is_open(one.state));
        let flow = self.jobs.get(&id).and_then(|row| flow_of(&row.job));
        let of_flow = self.jobs.values().filter(|row| flow.is_some() && flow_of(&row.job) == flow);
        is_told
            && self.is_grown_up(id)
            && of_flow.into_iter().all(|row| row.job.state.is_terminal())
    }

    fn delete(&mut self, ids: &[JobId]) -> u32 {
        for id in ids {
            if let Some(row) = self.jobs.remove(id) {
                self.token_floor = self.token_floor.max(row.token);
            }
        }
        self.deliveries.retain(|delivery| !ids.contains(&delivery.job));
        let jobs = &self.jobs;
        self.flows.retain(|id, _| jobs.values().any(|row| flow_of(&row.job) == Some(*id)));
        let flows = &self.flows;
        self.flow_keys.retain(|_, id| flows.contains_key(id));
        u32::try_from(ids.len()).unwrap_or(u32::MAX)
    }
}

fn flow_of(job: &Job) -> Option<FlowId> {
    job.member.as_ref().map(|member| member.flow)
}
