//! The tables.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    budget::Whose,
    class::Class,
    clock::{Entropy, Millis},
    delivery::Delivery,
    flow::Flow,
    id::{FlowId, JobId},
    pause::{Pause, Scope},
    ports::{bell::Change, kv::Key, store::StoreError},
    run::Run,
    schedule::Kept,
};

use crate::{row::Row, tamper::Tampered};

/// All that is kept.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) jobs: BTreeMap<JobId, Row>,
    pub(crate) flows: BTreeMap<FlowId, Flow>,
    /// The idempotency keys of flows.
    pub(crate) flow_keys: BTreeMap<String, FlowId>,
    pub(crate) slots: BTreeMap<Class, u32>,
    pub(crate) pauses: BTreeMap<Scope, Pause>,
    /// In the order of their creation.
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) schedules: BTreeMap<String, Kept>,
    pub(crate) last_revision: i64,
    pub(crate) fires: BTreeSet<(String, Millis)>,
    /// By plugin, namespace and key.
    pub(crate) values: BTreeMap<(String, String, String), Vec<u8>>,
    /// What was spent of the token budgets, by day.
    pub(crate) spent: BTreeMap<(String, Whose), u64>,
    /// No deleted job had a higher token.
    pub(crate) token_floor: i64,
    /// What is to be rung for when the change is made.
    pub(crate) changes: Vec<Change>,
    pub(crate) tampered: Tampered,
    ids: u128,
}

/// Dice that were thrown before.
struct Thrown(u128);

impl Entropy for Thrown {
    fn roll(&self) -> u128 {
        self.0
    }
}

impl Tables {
    /// The row of a job.
    pub(crate) fn row(&mut self, id: JobId) -> Result<&mut Row, StoreError> {
        self.jobs.get_mut(&id).ok_or(StoreError::NoSuchJob(id))
    }

    /// The row of a run that holds its job.
    pub(crate) fn held(&mut self, run: Run) -> Result<&mut Row, StoreError> {
        let row = self.jobs.get_mut(&run.job);
        row.filter(|row| row.is_held_by(run)).ok_or(StoreError::Fenced)
    }

    /// Dice for the next id of the host's own. They count.
    pub(crate) fn dice(&mut self) -> impl Entropy + use<> {
        self.ids += 1;
        Thrown(self.ids)
    }

    /// The pauses that are not over.
    pub(crate) fn paused(&self, at: Millis) -> impl Iterator<Item = &Pause> {
        self.pauses.values().filter(move |pause| !pause.is_over(at))
    }
}

/// Where a value is kept.
pub(crate) fn place(key: &Key) -> (String, String, String) {
    (key.plugin.clone(), key.namespace.clone(), key.key.clone())
}
