//! What operators see of the budgets. Labels are the operator's own: kinds and callers that have a budget of
//! their own. What other callers call themselves is no label.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use roughneck_jobs::budget::{Balance, Whose};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Happened {
    scope: &'static str,
    outcome: Outcome,
}

/// What became of a call for which there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the variants are the label's values")]
pub(super) enum Outcome {
    refused,
    /// Its job waits.
    waits,
    /// Its answer was stopped in the middle.
    stopped,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    scope: &'static str,
    subject: String,
}

type Tokens = Family<Named, Gauge<u64, AtomicU64>>;

pub(super) struct Metrics {
    limit: Tokens,
    remaining: Tokens,
    events: Family<Happened, Counter>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            limit: Family::default(),
            remaining: Family::default(),
            events: Family::default(),
        };
        // Counters are born at zero, so that the first event is an increase.
        for scope in ["job", "kind", "caller"] {
            for outcome in [Outcome::refused, Outcome::waits, Outcome::stopped] {
                drop(metrics.events.get_or_create(&Happened { scope, outcome }));
            }
        }
        metrics
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "roughneck_budget_limit_tokens",
            "Tokens a day of the budgets that the operator has named",
            self.limit.clone(),
        );
        registry.register(
            "roughneck_budget_remaining_tokens",
            "What of them is neither used nor reserved",
            self.remaining.clone(),
        );
        registry.register(
            "roughneck_budget_refusals",
            "Calls for which a budget had no room: refused, put off, or stopped in the middle",
            self.events.clone(),
        );
    }

    pub(super) fn show(&self, balance: &Balance) {
        let whose = &balance.whose;
        let labels = Named { scope: whose.scope(), subject: whose.subject().to_owned() };
        self.limit.get_or_create(&labels).set(balance.limit);
        self.remaining.get_or_create(&labels).set(balance.remaining());
    }

    pub(super) fn count(&self, whose: &Whose, outcome: Outcome) {
        self.events.get_or_create(&Happened { scope: whose.scope(), outcome }).inc();
    }
}
