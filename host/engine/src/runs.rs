//! The runs of this host.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use roughneck_jobs::{id::JobId, ports::runner::Standing, run::Run};

use crate::record::Record;

/// All runs that have begun and not ended.
#[derive(Default)]
pub(crate) struct Runs(Mutex<State>);

#[derive(Default)]
struct State {
    entered: HashMap<Run, Arc<Record>>,
    /// Runs that were to be stopped before they entered: the store had handed out the job, but the
    /// dispatcher had not yet heard of it.
    early: HashMap<Run, Standing>,
    /// The same, of before the last time that they were forgotten.
    earlier: HashMap<Run, Standing>,
    /// Whether runs are given back as soon as they enter: the host waits for none any more.
    is_returning: bool,
}

impl Runs {
    /// Adds a run; it is removed when the guard is dropped, also by a panic.
    pub(crate) fn enter(self: &Arc<Self>, record: Arc<Record>) -> Entered {
        let mut state = self.lock();
        let run = record.run();
        let (early, earlier) = (state.early.remove(&run), state.earlier.remove(&run));
        if let Some(standing) = early.or(earlier) {
            record.abort(standing);
        }
        if state.is_returning {
            record.abort(Standing::Stopping);
        }
        state.entered.insert(record.run(), Arc::clone(&record));
        Entered { runs: Arc::clone(self), record }
    }

    /// The latest run of a job.
    pub(crate) fn of(&self, job: JobId) -> Option<Arc<Record>> {
        let state = self.lock();
        let of_job = state.entered.values().filter(|record| record.run().job == job);
        of_job.max_by_key(|record| record.run().token).cloned()
    }

    /// All runs.
    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        self.lock().entered.values().cloned().collect()
    }

    /// Stops exactly this run, now or when it enters.
    pub(crate) fn abort(&self, run: Run, standing: Standing) {
        let mut state = self.lock();
        match state.entered.get(&run) {
            Some(record) => record.abort(standing),
            None => drop(state.early.insert(run, standing)),
        }
    }

    /// Exactly this run, if it has begun and not ended.
    pub(crate) fn get(&self, run: Run) -> Option<Arc<Record>> {
        self.lock().entered.get(&run).cloned()
    }

    /// Stops all runs, also those that are about to enter, so that their jobs are given back. Returns how many.
    pub(crate) fn return_all(&self) -> usize {
        self.lock().is_returning = true;
        let all = self.all();
        all.iter().for_each(|record| record.abort(Standing::Stopping));
        all.len()
    }

    /// Forgets early aborts of runs that never entered. Called seldom, and each is forgotten the second time, so that
    /// its run has had ample time to enter.
    pub(crate) fn forget_early(&self) {
        let mut state = self.lock();
        state.earlier = std::mem::take(&mut state.early);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a run among the [`Runs`].
pub(crate) struct Entered {
    runs: Arc<Runs>,
    record: Arc<Record>,
}

impl Entered {
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.runs.lock().entered.remove(&self.record.run());
    }
}
