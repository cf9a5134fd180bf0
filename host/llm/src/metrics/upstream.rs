//! What operators see of Ollama itself: whether it is there and well, what it has loaded, and whether
//! somebody else uses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::labels::ModelLabels;
use crate::others::Trace;

const PULSE_S: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How a pulse was felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PulseOutcome {
    /// The token came.
    Answered,
    /// Ollama said something else.
    Failed,
    /// Ollama said nothing.
    Silent,
}

impl PulseOutcome {
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
struct PulseLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignLabels {
    sign: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    version: String,
}

/// A model that is loaded. Ollama has each of them once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct LoadedLabels {
    model: Arc<str>,
    /// Tokens; unknown to old versions of Ollama.
    context_length: Option<u64>,
}

/// A model that is loaded, as operators see it.
#[derive(Clone, Debug)]
pub(crate) struct LoadedModel {
    pub(crate) label: Arc<str>,
    pub(crate) context_length: Option<u64>,
    pub(crate) size: u64,
    pub(crate) size_vram: u64,
    /// In seconds since 1970; none if it is not known.
    pub(crate) expires_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    size: i64,
    size_vram: i64,
    expires_s: Option<f64>,
}

type Bytes = Family<ModelLabels, Gauge<i64, AtomicI64>>;

/// The metrics of one Ollama.
#[derive(Debug)]
pub(crate) struct Upstream {
    up: Gauge,
    breaker_open: Gauge,
    info: Family<VersionLabels, Gauge>,
    pulses: Family<PulseLabels, Histogram, fn() -> Histogram>,
    external_use: Family<SignLabels, Counter>,
    loaded: Family<LoadedLabels, Gauge>,
    size: Bytes,
    size_vram: Bytes,
    expires: Family<ModelLabels, Gauge<f64, AtomicU64>>,
    /// What was loaded at the last look, to know what is no more.
    shown: Mutex<BTreeSet<LoadedLabels>>,
}

impl Upstream {
    pub(super) fn new() -> Self {
        let upstream = Self {
            up: Gauge::default(),
            breaker_open: Gauge::default(),
            info: Family::default(),
            pulses: Family::new_with_constructor(|| Histogram::new(PULSE_S)),
            external_use: Family::default(),
            loaded: Family::default(),
            size: Family::default(),
            size_vram: Family::default(),
            expires: Family::default(),
            shown: Mutex::default(),
        };
        for outcome in PulseOutcome::ALL {
            let labels = PulseLabels { outcome: outcome.word() };
            drop(upstream.pulses.get_or_create(&labels));
        }
        for trace in Trace::ALL {
            drop(upstream.external_use.get_or_create(&SignLabels { sign: trace.word() }));
        }
        upstream
    }

    /// Publishes them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let up = "Whether Ollama can be reached";
        registry.register("upstream_up", up, self.up.clone());
        let open = "Whether Ollama gets no work because it does not do it";
        registry.register("upstream_breaker_open", open, self.breaker_open.clone());
        registry.register("upstream_info", "The version of Ollama", self.info.clone());
        // Its users know it by this name, which is that of nothing else.
        let pulse = "Asking Ollama for one token, to see whether it is well";
        registry.register("upstream_probe_seconds", pulse, self.pulses.clone());
        let external = "Signs that somebody else uses the same Ollama";
        registry.register("upstream_external_use", external, self.external_use.clone());
        let loaded = "Models that Ollama has loaded, and their context in tokens";
        registry.register("model_loaded", loaded, self.loaded.clone());
        let size = "Memory of a loaded model";
        registry.register("model_size_bytes", size, self.size.clone());
        let vram = "Memory of a loaded model, on the GPU";
        registry.register("model_vram_bytes", vram, self.size_vram.clone());
        let expires = "When a loaded model is unloaded, unless it is used";
        registry.register("model_expires_timestamp_seconds", expires, self.expires.clone());
    }

    pub(crate) fn up(&self, up: bool) {
        self.up.set(up.into());
    }

    pub(crate) fn breaker_open(&self, open: bool) {
        self.breaker_open.set(open.into());
    }

    /// The version that is there now.
    pub(crate) fn version(&self, version: &str) {
        let labels = VersionLabels { version: version.to_owned() };
        if self.info.get(&labels).is_none() {
            self.info.clear();
            self.info.get_or_create(&labels).set(1);
        }
    }

    pub(crate) fn pulse(&self, outcome: PulseOutcome, took: Duration) {
        let labels = PulseLabels { outcome: outcome.word() };
        self.pulses.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(crate) fn external_use(&self, trace: Trace) {
        self.external_use.get_or_create(&SignLabels { sign: trace.word() }).inc();
    }

    /// What is loaded now. Series of what was and is no more are dropped; what shares a label is added up, as models that
    /// are not installed do, and is there until the first of it goes.
    pub(crate) fn loaded(&self, models: &[LoadedModel]) {
        let mut now: BTreeSet<LoadedLabels> = BTreeSet::new();
        let mut sums: BTreeMap<ModelLabels, Figures> = BTreeMap::new();
        for model in models {
            let LoadedModel { label, context_length, size, size_vram, expires_s } = model;
            let model = Arc::clone(label);
            now.insert(LoadedLabels { model, context_length: *context_length });
            let figures = sums.entry(ModelLabels { model: Arc::clone(label) }).or_default();
            let bytes = |bytes: &u64| i64::try_from(*bytes).unwrap_or(i64::MAX);
            figures.size = figures.size.saturating_add(bytes(size));
            figures.size_vram = figures.size_vram.saturating_add(bytes(size_vram));
            let first = [figures.expires_s, *expires_s].into_iter().flatten().reduce(f64::min);
            figures.expires_s = first;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&now) {
            self.loaded.remove(gone);
            let labels = ModelLabels { model: Arc::clone(&gone.model) };
            if !sums.contains_key(&labels) {
                self.size.remove(&labels);
                self.size_vram.remove(&labels);
                self.expires.remove(&labels);
            }
        }
        for loaded in &now {
            self.loaded.get_or_create(loaded).set(1);
        }
        for (labels, figures) in &sums {
            self.size.get_or_create(labels).set(figures.size);
            self.size_vram.get_or_create(labels).set(figures.size_vram);
            match figures.expires_s {
                Some(expires_s) => {
                    self.expires.get_or_create(labels).set(expires_s);
                }
                None => {
                    self.expires.remove(labels);
                }
            }
        }
        *shown = now;
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    fn model(label: &str, context_length: u64, size: u64) -> LoadedModel {
        LoadedModel {
            label: label.into(),
            context_length: Some(context_length),
            size,
            size_vram: size / 2,
            expires_s: Some(1.5),
        }
    }

    fn page(upstream: &Upstream) -> String {
        let mut registry = Registry::default();
        upstream.register(&mut registry);
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        let models = page.lines().filter(|line| line.starts_with("model_"));
        models.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_no_longer_loaded_has_no_series_and_what_is_not_installed_is_added_up() {
        let upstream = Upstream::new();
        upstream.loaded(&[model("a", 4096, 100)]);
        assert_eq!(
            page(&upstream),
            "model_loaded{model=\"a\",context_length=\"4096\"} 1\n\
             model_size_bytes{model=\"a\"} 100\n\
             model_vram_bytes{model=\"a\"} 50\n\
             model_expires_timestamp_seconds{model=\"a\"} 1.5"
        );
        upstream.loaded(&[model("a", 8192, 200), model("other", 1, 10), model("other", 1, 20)]);
        let both = page(&upstream);
        assert!(!both.contains("4096") && both.contains("context_length=\"8192\""), "{both}");
        assert!(both.contains("model_size_bytes{model=\"a\"} 200"), "{both}");
        assert!(both.contains("model_size_bytes{model=\"other\"} 30"), "{both}");
        upstream.loaded(&[]);
        assert_eq!(page(&upstream), "");
    }

    #[test]
    fn what_shares_a_label_is_added_up_whatever_its_context() {
        let upstream = Upstream::new();
        let later = LoadedModel { expires_s: Some(9.5), ..model("other", 2, 20) };
        upstream.loaded(&[later, model("other", 1, 10)]);
        let shared = "model_size_bytes{model=\"other\"} 30\n\
             model_vram_bytes{model=\"other\"} 15\n\
             model_expires_timestamp_seconds{model=\"other\"} 1.5";
        assert!(page(&upstream).ends_with(shared), "{}", page(&upstream));
        upstream.loaded(&[LoadedModel { expires_s: None, ..model("other", 2, 20) }]);
        assert_eq!(
            page(&upstream),
            "model_loaded{model=\"other\",context_length=\"2\"} 1\n\
             model_size_bytes{model=\"other\"} 20\n\
             model_vram_bytes{model=\"other\"} 10"
        );
    }

    #[test]
    fn there_is_one_version_at_a_time() {
        let upstream = Upstream::new();
        for version in ["0.32.0", "0.33.0", "0.33.0"] {
            upstream.version(version);
        }
        let labels = |version: &str| VersionLabels { version: version.to_owned() };
        assert!(upstream.info.get(&labels("0.32.0")).is_none());
        assert_eq!(upstream.info.get(&labels("0.33.0")).map(|gauge| gauge.get()), Some(1));
    }
}
