//! What operators see of the lane: the families here, what they are told apart by in `labels`, what one
//! call adds to them in `account`, and what those who wait add in `waiting`.
//!
//! A series of a call's labels begins at zero, with all of its like, when the first call that may count in
//! it is opened: the product of routes, models, callers and outcomes would be too many to begin with.

mod account;
mod labels;
mod preemption;
mod upstream;
mod waiting;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use roughneck_jobs::{model::Site, priority::Priority};

pub(crate) use self::{
    account::Account,
    labels::{Asker, OTHER, Outcome, Phase},
    upstream::{LoadedModel, PulseOutcome},
    waiting::{Kept, Waits},
};
use self::{
    labels::{
        DurationLabels, ModelLabels, PhaseLabels, PriorityLabels, RequestLabels, SiteLabel,
        SiteLabels, Stage, StageLabels, SwapLabels, TokenLabels, WaitLabels,
    },
    preemption::Preemption,
    upstream::Upstream,
    waiting::Since,
};
use crate::{
    planner::{self, Reason},
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

type Seconds = Counter<f64, AtomicU64>;
type Buckets = Family<ModelLabels, Histogram, fn() -> Histogram>;

/// The metrics of one lane.
#[derive(Debug)]
pub struct Metrics {
    tokens: Family<TokenLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    queue_depth: Family<PriorityLabels, Gauge>,
    /// Since when they wait.
    queue_since: Arc<Since>,
    queue_bytes: Gauge,
    queue_wait: Family<WaitLabels, Histogram, fn() -> Histogram>,
    first_token: Buckets,
    client_first_token: Buckets,
    token_time: Buckets,
    prompt_tokens: Buckets,
    completion_tokens: Buckets,
    prefill_per_second: Buckets,
    cancellations: Family<PhaseLabels, Counter>,
    request_duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    tokens_per_second: Buckets,
    stages: Family<StageLabels, Seconds>,
    swaps: Family<SwapLabels, Counter>,
    swap_duration: Histogram,
    swaps_avoided: Counter,
    quantum: Gauge<f64, AtomicU64>,
    preemption: Preemption,
    in_flight: Family<SiteLabels, Gauge>,
    unpinned: Counter,
    pub(crate) upstream: Upstream,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            tokens: Family::default(),
            requests: Family::default(),
            queue_depth: Family::default(),
            queue_since: Arc::default(),
            queue_bytes: Gauge::default(),
            queue_wait: Family::new_with_constructor(|| Histogram::new(WAIT_S)),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_S)),
            client_first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_S)),
            token_time: Family::new_with_constructor(|| Histogram::new(TOKEN_S)),
            prompt_tokens: Family::new_with_constructor(|| Histogram::new(TOKENS)),
            completion_tokens: Family::new_with_constructor(|| Histogram::new(TOKENS)),
            prefill_per_second: Family::new_with_constructor(|| Histogram::new(PREFILL_PER_S)),
            cancellations: Family::default(),
            request_duration: Family::new_with_constructor(|| Histogram::new(WAIT_S)),
            tokens_per_second: Family::new_with_constructor(|| Histogram::new(TOKENS_PER_S)),
            stages: Family::default(),
            swaps: Family::default(),
            swap_duration: Histogram::new(SWAP_S),
            swaps_avoided: Counter::default(),
            quantum: Gauge::default(),
            preemption: Preemption::default(),
            in_flight: Family::default(),
            unpinned: Counter::default(),
            upstream: Upstream::new(),
        };
        for site in [Site::Here, Site::Cloud].map(SiteLabel) {
            for stage in [Stage::Load, Stage::PromptEval, Stage::Eval, Stage::Residual] {
                drop(metrics.stages.get_or_create(&StageLabels { stage, site }));
            }
            drop(metrics.in_flight.get_or_create(&SiteLabels { site }));
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
        let depth = "Calls that wait, for the lane or for an Ollama that is away";
        registry.register("queue_depth", depth, self.queue_depth.clone());
        registry.register_collector(Box::new(Arc::clone(&self.queue_since)));
        let bytes = "Bytes of requests that wait";
        registry.register("queue_bytes", bytes, self.queue_bytes.clone());
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
        self.preemption.register(registry);
        let turns = "Calls that have their turn, in the lane, beside it or in the cloud";
        registry.register("inflight", turns, self.in_flight.clone());
        let unpinned =
            "Calls of /v1 that went out without the context that is pinned for their model";
        registry.register("unpinned_calls", unpinned, self.unpinned.clone());
        self.upstream.register(registry);
    }

    /// A call that is answered there has its turn.
    pub(crate) fn in_flight(&self, site: Site) -> Counted {
        Counted::new(&self.in_flight.get_or_create(&SiteLabels { site: SiteLabel(site) }))
    }

    /// A call waits.
    pub(crate) fn waiting(&self, priority: Priority) -> Waits {
        let priority = priority.nearest_name();
        let depth = self.queue_depth.get_or_create(&PriorityLabels { priority });
        Waits::begin(&self.queue_since, priority, &depth)
    }

    /// So many bytes are kept of a call that waits.
    pub(crate) fn kept(&self, bytes: usize) -> Kept {
        Kept::new(&self.queue_bytes, bytes)
    }

    /// The same, unless so many may not be kept with all the others.
    pub(crate) fn kept_within(&self, bytes: usize, bytes_max: usize) -> Option<Kept> {
        Kept::within(&self.queue_bytes, bytes, bytes_max)
    }

    pub(crate) fn swap(&self, reason: Swap, choice: Reason, took: Duration) {
        self.swaps.get_or_create(&SwapLabels { reason, choice }).inc();
        self.swap_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn swap_avoided(&self) {
        self.swaps_avoided.inc();
    }

    /// A call goes out without the context that is pinned for its model.
    pub(crate) fn unpinned(&self) {
        self.unpinned.inc();
    }

    pub(crate) fn quantum(&self, quantum: Duration) {
        self.quantum.set(quantum.as_secs_f64());
    }

    fn stage(&self, stage: Stage, site: Site, ns: u64) {
        let labels = StageLabels { stage, site: SiteLabel(site) };
        self.stages.get_or_create(&labels).inc_by(seconds(ns));
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
