//! The account of one call.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Buckets, Metrics, float,
    labels::{ModelLabels, OTHER, Outcome, Phase, PhaseLabels, RequestLabels, Stage, TokenType},
    seconds,
};
use crate::stats::Cost;

/// Fewer tokens say nothing about speed.
const TOKENS_FOR_SPEED_MIN: u64 = 5;

/// The account of one call. Whoever drops it before its end has cancelled the call.
#[derive(Debug)]
pub(crate) struct Account {
    metrics: Arc<Metrics>,
    model: Arc<str>,
    opened_at: Instant,
    pieces: u64,
    phase: Phase,
    closed: bool,
}

impl Account {
    pub(crate) fn open(metrics: Arc<Metrics>) -> Self {
        let model = Arc::from(OTHER);
        Self {
            metrics,
            model,
            opened_at: Instant::now(),
            pieces: 0,
            phase: Phase::Queued,
            closed: false,
        }
    }

    /// The label of the model that is meant.
    pub(crate) fn model(&mut self, model: Arc<str>) {
        self.model = model;
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
        self.metrics.tokens(&self.model, TokenType::Estimated, pieces);
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
        self.metrics.tokens(&self.model, TokenType::Input, usage.input_tokens);
        self.metrics.tokens(&self.model, TokenType::Output, usage.output_tokens);
        self.metrics.stage(Stage::Load, usage.load_ns);
        self.metrics.stage(Stage::PromptEval, usage.prompt_ns);
        self.metrics.stage(Stage::Eval, usage.generate_ns);
        self.metrics.stage(Stage::Residual, cost.residual_ns);
        self.metrics.tokens(&self.model, TokenType::InputCached, cost.cached_tokens);
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
            self.metrics.tokens(&self.model, TokenType::Estimated, self.pieces);
            if outcome == Outcome::Cancelled {
                let labels = PhaseLabels { phase: self.phase };
                self.metrics.cancellations.get_or_create(&labels).inc();
            }
            self.close(outcome);
        }
    }

    fn close(&mut self, outcome: Outcome) {
        self.closed = true;
        let labels = RequestLabels { model: Arc::clone(&self.model), outcome };
        self.metrics.requests.get_or_create(&labels).inc();
        self.metrics.request_duration.observe(self.opened_at.elapsed().as_secs_f64());
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.fail(Outcome::Cancelled);
    }
}
