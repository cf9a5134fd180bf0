//! What the end of a job means for the jobs that need it.

use roughneck_jobs::{
    clock::Millis,
    flow::{
        OnFailure,
        need::{Standing, broken, standing},
    },
    id::JobId,
    lifecycle::Event,
    ports::store::StoreError,
    state::State,
    step::Step,
};

use crate::tables::Tables;

impl Tables {
    /// Releases or fails the jobs that need the one with this id, which is over.
    pub(crate) fn follow(&mut self, id: JobId, at: Millis) -> Result<(), StoreError> {
        let Some(member) = self.row(id)?.job.member.clone() else { return Ok(()) };
        let state = self.row(id)?.job.state;
        for (job, rule) in self.dependents(id) {
            // Another one may have failed it meanwhile.
            if self.row(job)?.waits() == 0 {
                continue;
            }
            match standing(Some(state), rule) {
                Standing::Open => {}
                Standing::Met => self.count_down(job, at)?,
                Standing::Broken => {
                    let failure = broken(&member.name, Some(state), None);
                    self.make(job, Step::failed(Event::DependencyFailed, at, failure))?;
                }
            }
        }
        Ok(())
    }

    fn dependents(&self, id: JobId) -> Vec<(JobId, OnFailure)> {
        let waiting = self.jobs.values().filter(|row| row.waits() > 0);
        let edge = waiting.filter_map(|row| {
            let need = row.needs.iter().find(|need| need.job == id)?;
            Some((row.job.id, need.on_failure))
        });
        edge.collect()
    }

    fn count_down(&mut self, id: JobId, at: Millis) -> Result<(), StoreError> {
        let row = self.row(id)?;
        if let Some(member) = &mut row.job.member {
            member.waits -= 1;
        }
        if row.waits() > 0 {
            return Ok(());
        }
        let delay_ms = row.job.run_at.since_ms(at);
        self.make(id, Step::new(Event::Unblocked { delay_ms }, at)).map(drop)
    }

    /// How the needs of a job stand: how many are open, and the first that is broken.
    pub(crate) fn needs(&self, id: JobId) -> (u32, Option<(JobId, Option<State>)>) {
        let (mut open, mut is_broken) = (0, None);
        for need in self.jobs.get(&id).map_or(&[][..], |row| row.needs.as_slice()) {
            let needed = self.jobs.get(&need.job).map(|row| row.job.state);
            match standing(needed, need.on_failure) {
                Standing::Open => open += 1,
                Standing::Met => {}
                Standing::Broken => is_broken = is_broken.or(Some((need.job, needed))),
            }
        }
        (open, is_broken)
    }
}
