//! Children.

use std::collections::BTreeSet;

use async_trait::async_trait;
use roughneck_jobs::{
    child::{Family, Known, NewChild, Relative, SubmittedChild, lives_again},
    clock::Millis,
    flow::{Dependency, RESULTS_BYTES_MAX},
    id::JobId,
    lifecycle::Event,
    ports::{bell::Change, children::Children, store::StoreError},
    run::Run,
    state::State,
    step::Step,
};

use crate::{
    Memory,
    row::{Birth, Row},
    tables::Tables,
};

#[async_trait]
impl Children for Memory {
    async fn submit_child(&self, run: Run, child: NewChild) -> Result<SubmittedChild, StoreError> {
        self.write(|tables| tables.submit_child(run, child))
    }

    async fn children(&self, parent: JobId, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        let tables = self.tables();
        let children = ids.iter().filter_map(|id| tables.jobs.get(id));
        let children = children.filter(|row| row.is_child_of(parent));
        let mut all: Vec<Dependency> = children.map(dependency).collect();
        let bytes: usize = all.iter().map(|one| one.output_bytes).sum();
        if bytes > RESULTS_BYTES_MAX {
            all.iter_mut().for_each(|one| one.output = None);
        }
        Ok(all)
    }

    async fn family(&self, id: JobId, limit: u32) -> Result<Option<Family>, StoreError> {
        let tables = self.tables();
        let Some(row) = tables.jobs.get(&id) else { return Ok(None) };
        let parent = row.birth.as_ref().and_then(|birth| tables.jobs.get(&birth.parent));
        let children = tables.jobs.values().filter(|row| row.is_child_of(id));
        Ok(Some(Family {
            name: row.birth.as_ref().map(|birth| birth.name.clone()),
            depth: row.depth,
            awaits: u32::try_from(row.awaited.len()).unwrap_or(u32::MAX),
            parent: parent.map(relative),
            children: children.clone().take(limit as usize).map(relative).collect(),
            children_count: u64::try_from(children.count()).unwrap_or(u64::MAX),
        }))
    }
}

impl Tables {
    fn submit_child(&mut self, run: Run, child: NewChild) -> Result<SubmittedChild, StoreError> {
        let parent = self.held(run)?;
        let (depth, retried_after) = (parent.depth + 1, parent.retry_token);
        let birth = Birth { parent: run.job, name: child.name, submitted_by: run.token };
        let mut rows = self.jobs.values();
        let known = rows.find(|row| row.is_child_of(run.job) && row.name() == Some(&birth.name));
        if let Some(known) = known {
            let id = known.job.id;
            let submitted_by = known.birth.as_ref().map_or(0, |birth| birth.submitted_by);
            let known = Known { progress: known.progress(), submitted_by };
            if !lives_again(&known, retried_after) {
                return Ok(SubmittedChild::Existing(id));
            }
            let at = child.job.enqueued_at;
            self.make(id, Step::because(Event::Retried, at, "retried with its parent"))?;
            self.row(id)?.birth = Some(birth);
            return Ok(SubmittedChild::Retried(id));
        }
        if depth > child.depth_max {
            return Ok(SubmittedChild::TooDeep(depth));
        }
        self.check_marks()?;
        let id = child.job.id;
        if let Some(other) = self.unique_holder(&child.job) {
            return Ok(SubmittedChild::Taken(other));
        }
        self.insert(&child.job);
        let row = self.row(id)?;
        (row.birth, row.depth) = (Some(birth), depth);
        Ok(SubmittedChild::Created(id))
    }

    /// Notes the children that a job waits for and that are not over, and says how many there are.
    pub(crate) fn wait_for(
        &mut self,
        parent: JobId,
        children: &[JobId],
    ) -> Result<u32, StoreError> {
        let is_open = |id: &&JobId| {
            let child = self.jobs.get(id).filter(|child| child.is_child_of(parent));
            child.is_some_and(|child| !child.job.state.is_terminal())
        };
        let awaited: BTreeSet<JobId> = children.iter().filter(is_open).copied().collect();
        let open = u32::try_from(awaited.len()).unwrap_or(u32::MAX);
        self.row(parent)?.awaited = awaited;
        Ok(open)
    }

    /// What the end of a job means for the one that waits for it, and for those that it has submitted.
    pub(crate) fn follow_family(&mut self, id: JobId, at: Millis) -> Result<(), StoreError> {
        let parent = self.row(id)?.birth.as_ref().map(|birth| birth.parent);
        let parent = parent.and_then(|parent| self.jobs.get_mut(&parent));
        if let Some(parent) = parent.filter(|parent| parent.job.state == State::Blocked)
            && parent.awaited.remove(&id)
            && parent.awaited.is_empty()
        {
            let (parent, delay_ms) = (parent.job.id, parent.job.run_at.since_ms(at));
            self.make(parent, Step::new(Event::Unblocked { delay_ms }, at))?;
        }
        if self.row(id)?.job.state != State::Cancelled {
            return Ok(());
        }
        let below = self.jobs.values().filter(|row| row.is_child_of(id));
        let open = below.filter(|row| !row.job.state.is_terminal()).map(|row| row.job.id);
        for child in open.collect::<Vec<_>>() {
            self.changes.push(Change::Runs);
            let step = Step::because(Event::Cancelled, at, "cancelled with its parent");
            self.make(child, step)?;
        }
        Ok(())
    }

    /// Whether the job that has submitted this one is over, or gone, or never was.
    pub(crate) fn is_grown_up(&self, id: JobId) -> bool {
        let birth = self.jobs.get(&id).and_then(|row| row.birth.as_ref());
        let parent = birth.and_then(|birth| self.jobs.get(&birth.parent));
        parent.is_none_or(|parent| parent.job.state.is_terminal())
    }
}

fn relative(row: &Row) -> Relative {
    Relative {
        id: row.job.id,
        name: row.name().cloned(),
        kind: row.job.kind.clone(),
        state: row.job.state,
    }
}

fn dependency(row: &Row) -> Dependency {
    Dependency {
        name: row.name().cloned().unwrap_or_default(),
        job: row.job.id,
        state: row.job.state,
        output: row.job.output.clone(),
        output_bytes: row.job.output.as_ref().map_or(0, String::len),
        failure: row.job.failure.clone(),
    }
}
