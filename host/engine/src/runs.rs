//! The runs of this host, by job.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use roughneck_jobs::{id::JobId, ports::runner::Standing, run::Run};

use crate::record::Record;

/// All runs that have begun and not ended.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<JobId, Arc<Record>>>);

impl Runs {
    /// Adds a run; it is removed when the guard is dropped, also by a panic.
    pub(crate) fn enter(&self, record: Arc<Record>) -> Entered<'_> {
        self.lock().insert(record.run().job, Arc::clone(&record));
        Entered { runs: self, record }
    }

    /// The run of a job.
    pub(crate) fn of(&self, job: JobId) -> Option<Arc<Record>> {
        self.lock().get(&job).cloned()
    }

    /// All runs.
    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        self.lock().values().cloned().collect()
    }

    /// Stops exactly this run, because it no longer holds its job.
    pub(crate) fn abort(&self, run: Run, standing: Standing) {
        if let Some(record) = self.of(run.job).filter(|record| record.run() == run) {
            record.abort(standing);
        }
    }

    /// Stops all runs, so that their jobs are given back. Returns how many.
    pub(crate) fn return_all(&self) -> usize {
        let all = self.all();
        all.iter().for_each(|record| record.abort(Standing::Stopping));
        all.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Record>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a run among the [`Runs`].
pub(crate) struct Entered<'a> {
    runs: &'a Runs,
    record: Arc<Record>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut runs = self.runs.lock();
        let job = self.record.run().job;
        if runs.get(&job).is_some_and(|record| record.run() == self.record.run()) {
            runs.remove(&job);
        }
    }
}
