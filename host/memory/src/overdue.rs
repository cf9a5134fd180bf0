//! Jobs whose deadline has passed.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    lifecycle::Event,
    ports::store::{Overdue, StoreError},
    step::Step,
};

use crate::tables::Tables;

impl Tables {
    /// Fails up to `limit` jobs that are overdue, the longest overdue first.
    pub(crate) fn fail_overdue(&mut self, at: Millis, limit: u32) -> Result<Overdue, StoreError> {
        let mut overdue = Overdue::default();
        let open = self.jobs.values().map(|row| &row.job).filter(|job| !job.state.is_terminal());
        let due = open.filter(|job| job.is_overdue(at));
        let mut due: Vec<(Option<Millis>, JobId)> = due.map(|job| (job.deadline, job.id)).collect();
        due.sort_unstable();
        for (_, id) in due.into_iter().take(limit as usize) {
            let row = self.row(id)?;
            // The end of another one may have ended it.
            if row.job.state.is_terminal() {
                continue;
            }
            overdue.runs.extend(row.job.state.is_running().then(|| row.run()));
            self.make(id, Step::new(Event::DeadlinePassed, at))?;
            overdue.jobs += 1;
        }
        let open = self.jobs.values().map(|row| &row.job).filter(|job| !job.state.is_terminal());
        overdue.next_at = open.filter_map(|job| job.deadline).min();
        Ok(overdue)
    }
}
