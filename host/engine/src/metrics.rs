//! What the engine counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use roughneck_jobs::{
    class::{Class, Slots},
    delivery::DeliveryOutcome,
    failure::code,
    ports::{
        runner::Standing,
        store::{Count, Verdict},
    },
    state::State,
};

/// Seconds a job may wait, from a dispatch at once to an hour behind a long queue.
const WAIT_BUCKETS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0, 3600.0,
];

/// The engine's metrics. Cheap to clone: all clones count together.
#[derive(Clone)]
pub struct Metrics {
    attempts: Family<Attempt, Counter>,
    deliveries: Family<Sent, Counter>,
    jobs: Family<Jobs, Gauge<u64, AtomicU64>>,
    waits: Family<Waited, Histogram, fn() -> Histogram>,
    pub(crate) overhead: Histogram,
    pub(crate) mended: Counter,
    lost: Family<Lost, Counter>,
    deadlines_missed: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lost {
    cause: LostBy,
}

/// How a run lost its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the variants are the label's values")]
pub(crate) enum LostBy {
    /// Its host died.
    restart,
    /// Its lease was not renewed.
    lease,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    outcome: AttemptOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the variants are the label's values")]
enum AttemptOutcome {
    done,
    retry,
    failed,
    postponed,
    cancelled,
    fenced,
    released,
    waiting,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    outcome: SentOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the variants are the label's values")]
enum SentOutcome {
    delivered,
    retry,
    dead,
}

/// The operator's classes: bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waited {
    class: String,
}

/// The operator's classes and our states: both bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Jobs {
    class: String,
    state: String,
}

impl Metrics {
    /// Makes the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            attempts: Family::default(),
            deliveries: Family::default(),
            jobs: Family::default(),
            waits: Family::new_with_constructor(|| Histogram::new(WAIT_BUCKETS)),
            // From 20 µs to 0.2 s, in steps of 1.6: a median can be read to a third.
            overhead: Histogram::new(exponential_buckets(0.000_02, 1.6, 20)),
            mended: Counter::default(),
            lost: Family::default(),
            deadlines_missed: Counter::default(),
        };
        // Counters are born at zero, so that the first event is an increase.
        for outcome in [
            AttemptOutcome::done,
            AttemptOutcome::retry,
            AttemptOutcome::failed,
            AttemptOutcome::postponed,
            AttemptOutcome::cancelled,
            AttemptOutcome::fenced,
            AttemptOutcome::released,
            AttemptOutcome::waiting,
        ] {
            drop(metrics.attempts.get_or_create(&Attempt { outcome }));
        }
        for outcome in [SentOutcome::delivered, SentOutcome::retry, SentOutcome::dead] {
            drop(metrics.deliveries.get_or_create(&Sent { outcome }));
        }
        for cause in [LostBy::restart, LostBy::lease] {
            drop(metrics.lost.get_or_create(&Lost { cause }));
        }
        registry.register(
            "roughneck_attempts",
            "Attempts by how they ended",
            metrics.attempts.clone(),
        );
        registry.register(
            "roughneck_blocked_jobs_mended",
            "Jobs that were blocked for no reason and had to be mended",
            metrics.mended.clone(),
        );
        registry.register(
            "roughneck_runs_lost",
            "Runs that lost their jobs to a death of the host or to the end of their lease",
            metrics.lost.clone(),
        );
        registry.register(
            "roughneck_deadlines_missed",
            "Jobs that were not over at their deadline",
            metrics.deadlines_missed.clone(),
        );
        registry.register(
            "roughneck_webhook_attempts",
            "Attempts at webhook deliveries by how they ended",
            metrics.deliveries.clone(),
        );
        registry.register(
            "roughneck_jobs",
            "Jobs that have not ended, by class and state, as of the last look (at most 5 s ago)",
            metrics.jobs.clone(),
        );
        registry.register(
            "roughneck_job_wait_seconds",
            "From the instant a job might run to its claim",
            metrics.waits.clone(),
        );
        registry.register(
            "roughneck_dispatch_overhead_seconds",
            "From the claim of a job to the first instruction of its guest",
            metrics.overhead.clone(),
        );
        metrics
    }

    /// A job of the class was claimed after it had waited so long.
    pub(crate) fn waited(&self, class: &Class, wait_ms: u64) {
        let labels = Waited { class: class.to_string() };
        #[expect(clippy::cast_precision_loss, reason = "a histogram of seconds, not a sum")]
        self.waits.get_or_create(&labels).observe(wait_ms as f64 / 1000.0);
    }

    pub(crate) fn ended(&self, verdict: &Verdict) {
        if matches!(verdict, Verdict::Fail { failure } if failure.code == code::DEADLINE_PASSED) {
            self.missed(1);
        }
        let outcome = match verdict {
            Verdict::Done { .. } => AttemptOutcome::done,
            Verdict::Retry { .. } => AttemptOutcome::retry,
            Verdict::Fail { .. } => AttemptOutcome::failed,
            Verdict::Postpone { .. } => AttemptOutcome::postponed,
            Verdict::Cancel { .. } => AttemptOutcome::cancelled,
            Verdict::Await { .. } => AttemptOutcome::waiting,
        };
        self.attempts.get_or_create(&Attempt { outcome }).inc();
    }

    pub(crate) fn aborted(&self, standing: Standing) {
        let outcome = match standing {
            Standing::Cancelled => AttemptOutcome::cancelled,
            Standing::Fenced => AttemptOutcome::fenced,
            Standing::Overdue => AttemptOutcome::failed,
            Standing::Stopping | Standing::Held => AttemptOutcome::released,
        };
        self.attempts.get_or_create(&Attempt { outcome }).inc();
    }

    /// So many runs lost their jobs.
    pub(crate) fn lost(&self, cause: LostBy, runs: usize) {
        let runs = u64::try_from(runs).unwrap_or(u64::MAX);
        self.lost.get_or_create(&Lost { cause }).inc_by(runs);
    }

    /// So many jobs were not over at their deadline.
    pub(crate) fn missed(&self, jobs: u32) {
        self.deadlines_missed.inc_by(jobs.into());
    }

    pub(crate) fn delivered(&self, outcome: &DeliveryOutcome) {
        let outcome = match outcome {
            DeliveryOutcome::Delivered => SentOutcome::delivered,
            DeliveryOutcome::Retry { .. } => SentOutcome::retry,
            DeliveryOutcome::GiveUp { .. } => SentOutcome::dead,
        };
        self.deliveries.get_or_create(&Sent { outcome }).inc();
    }

    /// Sets the gauges of all configured classes; what is not counted is zero.
    pub(crate) fn set_counts(&self, counts: &[Count], slots: &[Slots]) {
        for Slots { class, .. } in slots {
            for state in State::ALL.into_iter().filter(|state| !state.is_terminal()) {
                let jobs = counts
                    .iter()
                    .find(|count| count.class == *class && count.state == state)
                    .map_or(0, |count| count.jobs);
                let labels = Jobs { class: class.to_string(), state: state.as_str().to_owned() };
                self.jobs.get_or_create(&labels).set(jobs);
            }
        }
    }
}
