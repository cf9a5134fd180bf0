//! What the writer remembers between its transactions. All of it may be forgotten.

use std::collections::HashMap;

use roughneck_jobs::{
    clock::Millis,
    guard::{Minute, Runaway},
    job::NewJob,
    pause::{Pause, Scope},
};

/// What the writer remembers.
#[derive(Default)]
pub(crate) struct Memory {
    /// From when on it is known that nothing is paused and no rate is limited: a claim need not look then. A
    /// clock that is set back may bring a pause back that was over.
    pub(crate) no_gates_from: Option<Millis>,
    /// Whether it is known that no class has more slots than it should: the end of a run need not look then.
    pub(crate) no_slots_surplus: bool,
    /// When a kind is submitted too fast; never if there is no limit.
    runaway: Option<Runaway>,
    minutes: HashMap<String, Minute>,
}

impl Memory {
    pub(crate) fn new(runaway: Option<Runaway>) -> Self {
        Self { runaway, ..Self::default() }
    }

    /// Forgets what may have been learnt from a transaction that is undone now.
    pub(crate) fn forget(&mut self) {
        self.no_gates_from = None;
        self.no_slots_surplus = false;
    }

    /// Counts an accepted job. Returns the pause of its kind, if there are too many of it. One whose submitter waits
    /// on a connection does not count: a pause would not stop it, but everybody's durable jobs of its kind.
    pub(crate) fn count(&mut self, job: &NewJob) -> Option<Pause> {
        let limit = self.runaway.filter(|_| !job.class.is_attended())?;
        // A look-up first: the name is copied once for each kind and not for each job.
        let minute = match self.minutes.get_mut(&job.kind) {
            Some(minute) => minute,
            None => self.minutes.entry(job.kind.clone()).or_default(),
        };
        minute.count(1, job.enqueued_at, &limit).then(|| Pause {
            scope: Scope::Kind(job.kind.clone()),
            since: job.enqueued_at,
            until: Some(job.enqueued_at.plus_ms(limit.pause_ms)),
            reason: format!(
                "more than {} jobs of this kind were submitted within a minute",
                limit.per_minute
            ),
        })
    }
}
