//! The ports that the engine works with.

use std::sync::Arc;

use roughneck_jobs::{
    clock::{Clock, Entropy},
    ports::{
        catalog::Catalog, children::Children, courier::Courier, flows::Flows, llm::Llm,
        outbox::Outbox, runner::Runner, schedules::Schedules, store::Store,
    },
};

use crate::{Bells, Budgets, Metrics};

/// What the engine works with.
pub struct Parts {
    /// The queue.
    pub store: Arc<dyn Store>,
    /// The flows of the queue.
    pub flows: Arc<dyn Flows>,
    /// The children of jobs.
    pub children: Arc<dyn Children>,
    /// The deliveries.
    pub outbox: Arc<dyn Outbox>,
    /// The memory of schedules.
    pub schedules: Arc<dyn Schedules>,
    /// The plugins.
    pub catalog: Arc<dyn Catalog>,
    /// The sandbox.
    pub runner: Arc<dyn Runner>,
    /// The lane, for its health.
    pub llm: Arc<dyn Llm>,
    /// Sends webhooks.
    pub courier: Arc<dyn Courier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The dice.
    pub entropy: Arc<dyn Entropy>,
    /// Wakes the services; the store and the lane ring it.
    pub bells: Arc<Bells>,
    /// Who may still use how many tokens; the lane asks them.
    pub budgets: Arc<Budgets>,
    /// What is counted.
    pub metrics: Metrics,
}
