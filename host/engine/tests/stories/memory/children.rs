//! Children in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use roughneck_jobs::{
    child::{Family, Known, NewChild, SubmittedChild, lives_again},
    clock::Millis,
    flow::Dependency,
    id::JobId,
    lifecycle::{Event, Progress},
    ports::{bell::Change, children::Children, store::StoreError},
    run::{LOSSES_MAX, Run},
    state::State,
};

use super::{Memory, Row, Tables, row};

impl Tables {
    /// Notes the children that a job waits for and that are not over.
    pub(super) fn wait_for(&mut self, parent: JobId, children: Vec<JobId>) -> Event {
        let is_open = |id: &JobId| {
            let child = self.jobs.get(id).filter(|child| child.is_of(parent));
            child.is_some_and(|child| !child.job.state.is_terminal())
        };
        let awaited: BTreeSet<JobId> = children.into_iter().filter(is_open).collect();
        let open = u32::try_from(awaited.len()).unwrap();
        self.jobs.get_mut(&parent).unwrap().awaited = awaited;
        Event::AwaitsChildren { open }
    }

    /// Cancels what is below jobs that were cancelled.
    pub(super) fn cancel_below(&mut self, at: Millis) {
        loop {
            let cancelled: BTreeSet<JobId> = self
                .jobs
                .iter()
                .filter(|(_, row)| row.job.state == State::Cancelled)
                .map(|(id, _)| *id)
                .collect();
            let below = self.jobs.values_mut().find(|row| {
                let is_below =
                    row.born.as_ref().is_some_and(|(parent, _)| cancelled.contains(parent));
                is_below && !row.job.state.is_terminal()
            });
            let Some(row) = below else { return };
            super::apply(row, Event::Cancelled, at).unwrap();
        }
    }

    /// The jobs without a parent that is not over.
    pub(super) fn grown_up(&self) -> BTreeSet<JobId> {
        let is_over =
            |id: &JobId| self.jobs.get(id).is_none_or(|parent| parent.job.state.is_terminal());
        let grown = self
            .jobs
            .values()
            .filter(|row| row.born.as_ref().is_none_or(|(parent, _)| is_over(parent)));
        grown.map(|row| row.job.id).collect()
    }
}

impl Row {
    fn is_of(&self, parent: JobId) -> bool {
        self.born.as_ref().is_some_and(|(of, _)| *of == parent)
    }
}

#[async_trait]
impl Children for Memory {
    async fn submit_child(&self, run: Run, child: NewChild) -> Result<SubmittedChild, StoreError> {
        let mut tables = self.lock();
        let parent = tables.held(run)?;
        let (depth, replayed_after) = (parent.depth + 1, parent.replay_token);
        let born = (run.job, child.name);
        let known = tables.jobs.values().find(|row| row.born.as_ref() == Some(&born));
        if let Some(known) = known {
            let job = &known.job;
            let progress = Progress {
                state: job.state,
                attempt: job.attempt,
                losses: job.losses,
                losses_max: LOSSES_MAX,
            };
            // No story retries a parent.
            assert!(!lives_again(&Known { progress, submitted_by: run.token }, replayed_after));
            return Ok(SubmittedChild::Existing(job.id));
        }
        if depth > child.depth_max {
            return Ok(SubmittedChild::TooDeep(depth));
        }
        let (id, class) = (child.job.id, child.job.class.clone());
        tables.jobs.insert(id, Row { born: Some(born), depth, ..row(&child.job) });
        drop(tables);
        self.bell.ring(Change::Class(class));
        Ok(SubmittedChild::Created(id))
    }

    async fn children(&self, parent: JobId, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        let tables = self.lock();
        let children = ids.iter().filter_map(|id| tables.jobs.get(id));
        let children = children.filter(|row| row.is_of(parent)).map(|row| Dependency {
            name: row.born.clone().unwrap().1,
            job: row.job.id,
            state: row.job.state,
            output: row.job.output.clone(),
            output_bytes: row.job.output.as_ref().map_or(0, String::len),
            failure: row.job.failure.clone(),
        });
        Ok(children.collect())
    }

    async fn family(&self, _id: JobId, _limit: u32) -> Result<Option<Family>, StoreError> {
        unreachable!("the HTTP surface's")
    }
}
