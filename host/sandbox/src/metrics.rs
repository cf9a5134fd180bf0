//! What the sandbox tells operators.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use roughneck_jobs::failure::code;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RunEnd {
    Done,
    Failed,
    Postponed,
    /// It waits for children.
    Waiting,
    InvalidOutput,
    Timeout,
    CpuLimit,
    OutOfMemory,
    HostCallLimit,
    Trapped,
    Broken,
    Cancelled,
    Fenced,
    Overdue,
    /// Its future was dropped: the host stops, or nobody waits any more.
    Aborted,
}

impl RunEnd {
    const ALL: [Self; 15] = [
        Self::Done,
        Self::Failed,
        Self::Postponed,
        Self::Waiting,
        Self::InvalidOutput,
        Self::Timeout,
        Self::CpuLimit,
        Self::OutOfMemory,
        Self::HostCallLimit,
        Self::Trapped,
        Self::Broken,
        Self::Cancelled,
        Self::Fenced,
        Self::Overdue,
        Self::Aborted,
    ];

    /// The label; what the host inflicts is named like its failure.
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Postponed => "postponed",
            Self::Waiting => "waiting",
            Self::InvalidOutput => code::INVALID_OUTPUT,
            Self::Timeout => code::TIMEOUT,
            Self::CpuLimit => code::CPU_LIMIT,
            Self::OutOfMemory => code::OUT_OF_MEMORY,
            Self::HostCallLimit => code::HOST_CALL_LIMIT,
            Self::Trapped => code::TRAPPED,
            Self::Broken => code::PLUGIN_BROKEN,
            Self::Cancelled => code::CANCELLED,
            Self::Fenced => code::FENCED,
            Self::Overdue => code::DEADLINE_PASSED,
            Self::Aborted => "aborted",
        }
    }
}

impl EncodeLabelValue for RunEnd {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: RunEnd,
}

/// The sandbox's metrics. A clone counts into the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    runs: Family<Ended, Counter>,
    start_seconds: Histogram,
    guest_cpu_seconds: Counter<f64, AtomicU64>,
    guest_memory_peak_bytes: Histogram,
    plugins_refused: Counter,
    plugin_load_seconds: Histogram,
    plugin_compile_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let runs = Family::<Ended, Counter>::default();
        for outcome in RunEnd::ALL {
            // A series that is born with its first event hides it from `rate()`.
            drop(runs.get_or_create(&Ended { outcome }));
        }
        let load = [0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        let start = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];
        let mebibyte = f64::from(1 << 20);
        let memory = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
        Self {
            runs,
            start_seconds: Histogram::new(start),
            guest_cpu_seconds: Counter::default(),
            guest_memory_peak_bytes: Histogram::new(memory.map(|mib| mib * mebibyte)),
            plugins_refused: Counter::default(),
            plugin_load_seconds: Histogram::new(load),
            plugin_compile_seconds: Histogram::new(load),
        }
    }

    pub(crate) fn plugin_loaded(&self, load_time: Duration, compile_time: Option<Duration>) {
        self.plugin_load_seconds.observe(load_time.as_secs_f64());
        if let Some(compile_time) = compile_time {
            self.plugin_compile_seconds.observe(compile_time.as_secs_f64());
        }
    }

    pub(crate) fn plugin_refused(&self) {
        self.plugins_refused.inc();
    }

    pub(crate) fn guest_started(&self, start_time: Duration) {
        self.start_seconds.observe(start_time.as_secs_f64());
    }

    pub(crate) fn run_ended(&self, outcome: RunEnd, cpu: Duration, memory_peak_bytes: u64) {
        self.runs.get_or_create(&Ended { outcome }).inc();
        self.guest_cpu_seconds.inc_by(cpu.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a bucket, not a sum of money")]
        self.guest_memory_peak_bytes.observe(memory_peak_bytes as f64);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("roughneck_sandbox");
        registry.register("runs", "Attempts that ended, by how", self.runs.clone());
        registry.register_with_unit(
            "run_start",
            "From the call of the sandbox to the job's first instruction: store, instance, start functions",
            Unit::Seconds,
            self.start_seconds.clone(),
        );
        registry.register_with_unit(
            "guest_cpu",
            "CPU time of guests, with what the host computed inside their calls",
            Unit::Seconds,
            self.guest_cpu_seconds.clone(),
        );
        registry.register_with_unit(
            "guest_memory_peak",
            "Most linear memory of a run",
            Unit::Bytes,
            self.guest_memory_peak_bytes.clone(),
        );
        registry.register(
            "plugins_refused",
            "Plugin folders that were refused",
            self.plugins_refused.clone(),
        );
        registry.register_with_unit(
            "plugin_load",
            "Reading, compiling and linking a plugin",
            Unit::Seconds,
            self.plugin_load_seconds.clone(),
        );
        registry.register_with_unit(
            "plugin_compile",
            "Compiling a plugin whose code was not in the cache",
            Unit::Seconds,
            self.plugin_compile_seconds.clone(),
        );
    }
}
