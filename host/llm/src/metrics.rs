//! What operators see of the lane. Labels are bounded: a model that is not installed is `other`.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use roughneck_jobs::{model::LlmError, priority::Priority};
use tokio::time::Instant;

use crate::{
    planner::{self, Reason},
    stats::Cost,
    swap::{Swap, SwapCost},
};

const WAIT_S: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0, 3600.0,
];
const FIRST_TOKEN_S: [f64; 16] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];
const TOKENS_PER_S: [f64; 13] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0, 400.0];
const PREFILL_PER_S: [f64; 12] =
    [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 5120.0, 10_240.0, 20_480.0];
const TOKEN_S: [f64; 14] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5];
const TOKENS: [f64; 10] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0];
const SWAP_S: [f64; 11] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0];

/// Fewer tokens say nothing about speed.
const TOKENS_FOR_SPEED_MIN: u64 = 5;

/// The label of a model that is not installed: anybody can ask for any name.
pub(crate) const OTHER: &str = "other";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Ok,
    Error,
    /// The caller left, lost its job, or did not read the answer.
    Cancelled,
    /// Refused before it reached Ollama, or because the model is not there.
    Rejected,
    /// Ollama fell silent.
    Timeout,
    /// The connection ended without the end of the answer.
    Truncated,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Ok, Self::Error, Self::Cancelled, Self::Rejected, Self::Timeout, Self::Truncated];

    /// The outcome of a call that failed before its answer began.
    pub(crate) fn of(error: &LlmError) -> Self {
        match error {
            LlmError::NotInstalled { .. } | LlmError::Full { .. } | LlmError::Invalid(_) => {
                Self::Rejected
            }
            LlmError::Unavailable { .. } | LlmError::Refused { .. } => Self::Error,
            // Whoever knows that there was silence says so: see [`crate::broken`].
            LlmError::BrokenOff(_) => Self::Truncated,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum TokenType {
    Input,
    /// Those of the input that Ollama had read before; newer ones tell.
    InputCached,
    Output,
    /// Pieces of answers that did not reach their end, where Ollama sends no count.
    Estimated,
}

/// How far a call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// It waited for its turn.
    Queued,
    /// Its model was loaded.
    Loading,
    /// Ollama had it, and nothing could be seen yet.
    Prefill,
    /// Its answer came.
    Decode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Load,
    PromptEval,
    Eval,
    Residual,
}

/// Implements the encoding of an enum's label values, one word each.
macro_rules! label_values {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
                let word = match self { $(Self::$variant => $word),+ };
                EncodeLabelValue::encode(&word, encoder)
            }
        }
    };
}

label_values!(Outcome {
    Ok => "ok",
    Error => "error",
    Cancelled => "cancelled",
    Rejected => "rejected",
    Timeout => "timeout",
    Truncated => "truncated",
});
label_values!(TokenType {
    Input => "input",
    InputCached => "input_cached",
    Output => "output",
    Estimated => "estimated",
});
label_values!(Phase {
    Queued => "queued",
    Loading => "loading",
    Prefill => "prefill",
    Decode => "decode",
});
label_values!(Stage {
    Load => "load",
    PromptEval => "prompt_eval",
    Eval => "eval",
    Residual => "residual",
});
label_values!(Swap { Cold => "cold", Model => "model", Options => "options" });
label_values!(Reason {
    Loaded => "loaded",
    Drained => "drained",
    Quantum => "quantum",
    Urgent => "urgent",
});

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    model: Arc<str>,
    r#type: TokenType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: Arc<str>,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwapLabels {
    /// What was loaded before.
    reason: Swap,
    /// Why its call was next.
    choice: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PriorityLabels {
    /// The nearest name: a hundred levels would be too many series.
    priority: &'static str,
}

type Seconds = Counter<f64, AtomicU64>;
type Buckets = Family<ModelLabels, Histogram, fn() -> Histogram>;

/// The metrics of one lane.
#[derive(Debug)]
pub struct Metrics {
    tokens: Family<TokenLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    queue_depth: Family<PriorityLabels, Gauge>,
    queue_wait: Family<PriorityLabels, Histogram, fn() -> Histogram>,
    first_token: Buckets,
    client_first_token: Buckets,
    token_time: Buckets,
    prompt_tokens: Buckets,
    completion_tokens: Buckets,
    prefill_per_second: Buckets,
    cancellations: Family<PhaseLabels, Counter>,
    request_duration: Histogram,
    tokens_per_second: Buckets,
    stages: Family<StageLabels, Seconds>,
    swaps: Family<SwapLabels, Counter>,
    swap_duration: Histogram,
    swaps_avoided: Counter,
    quantum: Gauge<f64, AtomicU64>,
    up: Gauge,
    in_flight: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            tokens: Family::default(),
            requests: Family::default(),
            queue_depth: Family::default(),
            queue_wait: Family::new_with_constructor(|| Histogram::new(WAIT_S)),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_S)),
            client_first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_S)),
            token_time: Family::new_with_constructor(|| Histogram::new(TOKEN_S)),
            prompt_tokens: Family::new_with_constructor(|| Histogram::new(TOKENS)),
            completion_tokens: Family::new_with_constructor(|| Histogram::new(TOKENS)),
            prefill_per_second: Family::new_with_constructor(|| Histogram::new(PREFILL_PER_S)),
            cancellations: Family::default(),
            request_duration: Histogram::new(WAIT_S),
            tokens_per_second: Family::new_with_constructor(|| Histogram::new(TOKENS_PER_S)),
            stages: Family::default(),
            swaps: Family::default(),
            swap_duration: Histogram::new(SWAP_S),
            swaps_avoided: Counter::default(),
            quantum: Gauge::default(),
            up: Gauge::default(),
            in_flight: Gauge::default(),
        };
        metrics.bear(&Arc::from(OTHER));
        for stage in [Stage::Load, Stage::PromptEval, Stage::Eval, Stage::Residual] {
            drop(metrics.stages.get_or_create(&StageLabels { stage }));
        }
        for reason in [Swap::Cold, Swap::Model, Swap::Options] {
            for choice in [Reason::Loaded, Reason::Drained, Reason::Quantum, Reason::Urgent] {
                drop(metrics.swaps.get_or_create(&SwapLabels { reason, choice }));
            }
        }
        for phase in [Phase::Queued, Phase::Loading, Phase::Prefill, Phase::Decode] {
            drop(metrics.cancellations.get_or_create(&PhaseLabels { phase }));
        }
        for priority in Priority::names() {
            drop(metrics.queue_depth.get_or_create(&PriorityLabels { priority }));
            drop(metrics.queue_wait.get_or_create(&PriorityLabels { priority }));
        }
        metrics.quantum(planner::quantum(&SwapCost::default(), Swap::Model));
        metrics
    }

    /// Publishes the metrics, as `roughneck_…`. Call it once for each registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("roughneck");
        let tokens = "Tokens; estimated ones are of answers that did not reach their end";
        registry.register("tokens", tokens, self.tokens.clone());
        registry.register("requests", "Calls of models", self.requests.clone());
        let depth = "Calls that wait for the lane";
        registry.register("queue_depth", depth, self.queue_depth.clone());
        let waits = "Waiting for the lane";
        registry.register("queue_wait_seconds", waits, self.queue_wait.clone());
        let first = "From dispatch to the first visible token";
        registry.register("upstream_ttft_seconds", first, self.first_token.clone());
        let first = "From asking for the lane to the first visible token";
        registry.register("client_ttft_seconds", first, self.client_first_token.clone());
        let each = "Time for each generated token after the first, a mean for each call";
        registry.register("time_per_output_token_seconds", each, self.token_time.clone());
        registry.register("prompt_tokens", "Tokens of one prompt", self.prompt_tokens.clone());
        let answer = "Tokens of one answer";
        registry.register("completion_tokens", answer, self.completion_tokens.clone());
        let prefill = "Prompt tokens read per second, of those that were not cached";
        registry.register("prefill_tokens_per_second", prefill, self.prefill_per_second.clone());
        let left = "Calls that were cancelled, by how far they had come";
        registry.register("cancellations", left, self.cancellations.clone());
        let whole = "From asking for the lane to the last byte";
        registry.register("request_duration_seconds", whole, self.request_duration.clone());
        let speed = "Generated tokens per second";
        registry.register("decode_tokens_per_second", speed, self.tokens_per_second.clone());
        let stages = "Where the time of Ollama went";
        registry.register("ollama_stage_seconds", stages, self.stages.clone());
        let swaps = "Models loaded by the host: what was loaded before, and why the call was next";
        registry.register("model_swaps", swaps, self.swaps.clone());
        let swap = "Loading a model";
        registry.register("model_swap_seconds", swap, self.swap_duration.clone());
        let avoided = "Calls that ran before one of better rank because their model was loaded";
        registry.register("swaps_avoided", avoided, self.swaps_avoided.clone());
        let quantum = "How long calls for the loaded model may go before all others";
        registry.register("residency_quantum_seconds", quantum, self.quantum.clone());
        registry.register("upstream_up", "Whether Ollama answers", self.up.clone());
        registry.register("inflight", "Calls that hold the lane", self.in_flight.clone());
    }

    /// The model is installed: from now on its counters exist.
    pub(crate) fn bear(&self, model: &Arc<str>) {
        let types =
            [TokenType::Input, TokenType::InputCached, TokenType::Output, TokenType::Estimated];
        for r#type in types {
            drop(self.tokens.get_or_create(&TokenLabels { model: Arc::clone(model), r#type }));
        }
        for outcome in Outcome::ALL {
            drop(self.requests.get_or_create(&RequestLabels { model: Arc::clone(model), outcome }));
        }
    }

    pub(crate) fn up(&self, up: bool) {
        self.up.set(up.into());
    }

    /// A call holds the lane.
    pub(crate) fn in_flight(&self) -> Counted {
        Counted::new(&self.in_flight)
    }

    /// A call waits for the lane.
    pub(crate) fn waiting(&self, priority: Priority) -> Counted {
        let labels = PriorityLabels { priority: priority.nearest_name() };
        Counted::new(&self.queue_depth.get_or_create(&labels))
    }

    pub(crate) fn queue_wait(&self, priority: Priority, wait: Duration) {
        let labels = PriorityLabels { priority: priority.nearest_name() };
        self.queue_wait.get_or_create(&labels).observe(wait.as_secs_f64());
    }

    pub(crate) fn swap(&self, reason: Swap, choice: Reason, took: Duration) {
        self.swaps.get_or_create(&SwapLabels { reason, choice }).inc();
        self.swap_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn swap_avoided(&self) {
        self.swaps_avoided.inc();
    }

    pub(crate) fn quantum(&self, quantum: Duration) {
        self.quantum.set(quantum.as_secs_f64());
    }

    fn tokens(&self, model: &Arc<str>, r#type: TokenType, count: u64) {
        let labels = TokenLabels { model: Arc::clone(model), r#type };
        self.tokens.get_or_create(&labels).inc_by(count);
    }

    fn stage(&self, stage: Stage, ns: u64) {
        self.stages.get_or_create(&StageLabels { stage }).inc_by(seconds(ns));
    }
}

/// Counts one call in a gauge until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

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

fn seconds(ns: u64) -> f64 {
    float(ns) / 1e9
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are a hundred days, and more than all tokens"
)]
fn float(count: u64) -> f64 {
    count as f64
}
