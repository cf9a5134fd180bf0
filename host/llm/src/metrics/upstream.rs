//! What operators see of Ollama itself: whether it is there and well.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

const PROBE_S: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How one token of health was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    /// It came.
    Answered,
    /// Ollama said something else.
    Failed,
    /// Ollama said nothing.
    Silent,
}

impl ProbeOutcome {
    const ALL: [Self; 3] = [Self::Answered, Self::Failed, Self::Silent];

    fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Silent => "silent",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeLabels {
    outcome: &'static str,
}

/// The metrics of one Ollama.
#[derive(Debug)]
pub(crate) struct Upstream {
    up: Gauge,
    breaker_open: Gauge,
    probes: Family<ProbeLabels, Histogram, fn() -> Histogram>,
}

impl Upstream {
    pub(super) fn new() -> Self {
        let upstream = Self {
            up: Gauge::default(),
            breaker_open: Gauge::default(),
            probes: Family::new_with_constructor(|| Histogram::new(PROBE_S)),
        };
        for outcome in ProbeOutcome::ALL {
            let labels = ProbeLabels { outcome: outcome.word() };
            drop(upstream.probes.get_or_create(&labels));
        }
        upstream
    }

    /// Publishes them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let up = "Whether Ollama can be reached";
        registry.register("upstream_up", up, self.up.clone());
        let open = "Whether Ollama gets no work because it does not do it";
        registry.register("upstream_breaker_open", open, self.breaker_open.clone());
        let probe = "Asking Ollama for one token, to see whether it is well";
        registry.register("upstream_probe_seconds", probe, self.probes.clone());
    }

    pub(crate) fn up(&self, up: bool) {
        self.up.set(up.into());
    }

    pub(crate) fn breaker_open(&self, open: bool) {
        self.breaker_open.set(open.into());
    }

    pub(crate) fn probed(&self, outcome: ProbeOutcome, took: Duration) {
        let labels = ProbeLabels { outcome: outcome.word() };
        self.probes.get_or_create(&labels).observe(took.as_secs_f64());
    }
}
