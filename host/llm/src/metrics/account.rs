//! The account of one call.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{model::Site, ports::gateway::CallRoute, priority::Priority};
use tokio::time::Instant;

use super::{
    Buckets, Metrics, float,
    labels::{
        Asker, DurationLabels, ModelLabels, OTHER, Outcome, Phase, PhaseLabels, RequestLabels,
        Stage, TokenLabels, TokenType, WaitLabels,
    },
    seconds,
};
use crate::stats::Cost;

/// Fewer tokens say nothing about speed.
const TOKENS_FOR_SPEED_MIN: u64 = 5;

/// The account of one call. Whoever drops it before its end has cancelled the call.
#[derive(Debug)]
pub(crate) struct Account {
    metrics: Arc<Metrics>,
    asker: Asker,
    route: CallRoute,
    model: Arc<str>,
    site: Site,
    opened_at: Instant,
    pieces: u64,
    phase: Phase,
    closed: bool,
}

impl Account {
    pub(crate) fn open(metrics: Arc<Metrics>, asker: Asker, route: CallRoute) -> Self {
        Self {
            metrics,
            asker,
            route,
            model: OTHER.into(),
            site: Site::Here,
            opened_at: Instant::now(),
            pieces: 0,
            phase: Phase::Queued,
            closed: false,
        }
    }

    /// The label of the model that is meant, and where it answers. From now on the counters of such calls exist.
    pub(crate) fn model(&mut self, model: Arc<str>, site: Site) {
        self.model = model;
        self.site = site;
        // They are all born together, and each would have to be found.
        if self.metrics.requests.get(&self.request_labels(Outcome::Ok)).is_some() {
            return;
        }
        self.metrics.preemption.bear(&self.model);
        for r#type in TokenType::ALL {
            drop(self.metrics.tokens.get_or_create(&self.token_labels(r#type)));
        }
        for outcome in Outcome::ALL {
            drop(self.metrics.requests.get_or_create(&self.request_labels(outcome)));
        }
    }

    /// Its turn has come.
    pub(crate) fn dispatched(&mut self, priority: Priority, waited: Duration) {
        let labels = WaitLabels {
            priority: priority.nearest_name(),
            model: Arc::clone(&self.model),
            source: self.asker.source(),
        };
        self.metrics.queue_wait.get_or_create(&labels).observe(waited.as_secs_f64());
        self.reach(Phase::Loading);
    }

    /// It has come so far.
    pub(crate) fn reach(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// A piece came: about one token.
    pub(crate) fn piece(&mut self) {
        self.phase = Phase::Decode;
        self.pieces = self.pieces.saturating_add(1);
    }

    /// How many came of this try.
    pub(crate) fn pieces(&self) -> u64 {
        self.pieces
    }

    /// It gave way to an urgent call, and waits again. Returns how many pieces came for nothing.
    pub(crate) fn gave_way(&mut self) -> u64 {
        let pieces = std::mem::take(&mut self.pieces);
        self.phase = Phase::Queued;
        self.tokens(TokenType::Estimated, pieces);
        self.metrics.preemption.gave_way(&self.model, pieces);
        pieces
    }

    pub(crate) fn first_token(&self, took: Duration) {
        let labels = ModelLabels { model: Arc::clone(&self.model) };
        self.metrics.first_token.get_or_create(&labels).observe(took.as_secs_f64());
        let since = self.opened_at.elapsed().as_secs_f64();
        self.metrics.client_first_token.get_or_create(&labels).observe(since);
    }

    /// The answer reached its end.
    pub(crate) fn complete(&mut self, cost: &Cost) {
        let usage = &cost.usage;
        self.tokens(TokenType::Input, usage.input_tokens);
        self.tokens(TokenType::InputCached, cost.cached_tokens);
        self.tokens(TokenType::Output, usage.output_tokens);
        for (stage, ns) in [
            (Stage::Load, usage.load_ns),
            (Stage::PromptEval, usage.prompt_ns),
            (Stage::Eval, usage.generate_ns),
            (Stage::Residual, cost.residual_ns),
        ] {
            self.metrics.stage(stage, self.site, ns);
        }
        self.observe(cost);
        let speed = usage.tokens_per_second();
        if let Some(speed) = speed.filter(|_| usage.output_tokens >= TOKENS_FOR_SPEED_MIN) {
            let labels = ModelLabels { model: Arc::clone(&self.model) };
            self.metrics.tokens_per_second.get_or_create(&labels).observe(speed);
        }
        self.close(Outcome::Ok);
    }

    /// The figures of one call, as far as it has them.
    fn observe(&self, cost: &Cost) {
        let (metrics, usage) = (&self.metrics, &cost.usage);
        let labels = ModelLabels { model: Arc::clone(&self.model) };
        let observe = |family: &Buckets, value: Option<f64>| {
            if let Some(value) = value {
                family.get_or_create(&labels).observe(value);
            }
        };
        let count = |tokens: u64| (tokens > 0).then(|| float(tokens));
        observe(&metrics.prompt_tokens, count(usage.input_tokens));
        observe(&metrics.completion_tokens, count(usage.output_tokens));
        observe(&metrics.prefill_per_second, cost.prefill_per_second());
        let rest = usage.output_tokens.saturating_sub(1);
        let each = count(rest).map(|rest| seconds(usage.generate_ns) / rest);
        observe(&metrics.token_time, each.filter(|each| *each > 0.0));
    }

    /// The call failed. What had been generated is counted as an estimate.
    pub(crate) fn fail(&mut self, outcome: Outcome) {
        if !self.closed {
            self.tokens(TokenType::Estimated, self.pieces);
            if outcome == Outcome::Cancelled {
                let labels = PhaseLabels { phase: self.phase };
                self.metrics.cancellations.get_or_create(&labels).inc();
            }
            self.close(outcome);
        }
    }

    fn close(&mut self, outcome: Outcome) {
        self.closed = true;
        self.metrics.requests.get_or_create(&self.request_labels(outcome)).inc();
        let labels = DurationLabels {
            route: self.route.path(),
            model: Arc::clone(&self.model),
            source: self.asker.source(),
            outcome,
        };
        let took = self.opened_at.elapsed().as_secs_f64();
        self.metrics.request_duration.get_or_create(&labels).observe(took);
    }

    fn tokens(&self, r#type: TokenType, count: u64) {
        self.metrics.tokens.get_or_create(&self.token_labels(r#type)).inc_by(count);
    }

    fn token_labels(&self, r#type: TokenType) -> TokenLabels {
        TokenLabels { model: Arc::clone(&self.model), asker: self.asker.clone(), r#type }
    }

    fn request_labels(&self, outcome: Outcome) -> RequestLabels {
        RequestLabels {
            route: self.route.path(),
            model: Arc::clone(&self.model),
            asker: self.asker.clone(),
            outcome,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.fail(Outcome::Cancelled);
    }
}
