//! Calls that gave way to urgent ones.

use std::sync::Arc;

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::labels::ModelLabels;

/// How often calls gave way, and what was lost by it.
#[derive(Debug, Default)]
pub(super) struct Preemption {
    calls: Family<ModelLabels, Counter>,
    wasted_tokens: Family<ModelLabels, Counter>,
}

impl Preemption {
    pub(super) fn register(&self, registry: &mut Registry) {
        let calls = "Answers that were broken off for an urgent call, to be begun anew";
        registry.register("preemptions", calls, self.calls.clone());
        let wasted = "Tokens that were thrown away with them, an estimate";
        registry.register("wasted_tokens", wasted, self.wasted_tokens.clone());
    }

    pub(super) fn bear(&self, model: &Arc<str>) {
        let labels = ModelLabels { model: Arc::clone(model) };
        drop(self.calls.get_or_create(&labels));
        drop(self.wasted_tokens.get_or_create(&labels));
    }

    pub(super) fn gave_way(&self, model: &Arc<str>, tokens: u64) {
        let labels = ModelLabels { model: Arc::clone(model) };
        self.calls.get_or_create(&labels).inc();
        self.wasted_tokens.get_or_create(&labels).inc_by(tokens);
    }
}
