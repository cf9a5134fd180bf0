//! Who waits for the lane: since when, and with how much.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{family::Family, gauge::Gauge},
};
use roughneck_jobs::priority::Priority;
use tokio::time::Instant;

use super::{Counted, labels::PriorityLabels};

/// Since when calls wait, by priority. How long that is depends on when it is asked, so it is worked out
/// for each look.
#[derive(Debug, Default)]
pub(super) struct Since(Mutex<Began>);

#[derive(Debug, Default)]
struct Began {
    /// The numbers tell those apart that began at once.
    by_priority: BTreeMap<&'static str, BTreeSet<(Instant, u64)>>,
    next_number: u64,
}

/// One call that waits, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waits {
    since: Arc<Since>,
    priority: &'static str,
    place: (Instant, u64),
    _depth: Counted,
}

impl Waits {
    pub(super) fn begin(since: &Arc<Since>, priority: &'static str, depth: &Gauge) -> Self {
        let mut began = since.lock();
        let place = (Instant::now(), began.next_number);
        began.next_number += 1;
        began.by_priority.entry(priority).or_default().insert(place);
        drop(began);
        Self { since: Arc::clone(since), priority, place, _depth: Counted::new(depth) }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(places) = self.since.lock().by_priority.get_mut(self.priority) {
            places.remove(&self.place);
        }
    }
}

impl Since {
    fn lock(&self) -> MutexGuard<'_, Began> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Since {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ages: Family<PriorityLabels, Gauge<f64, AtomicU64>> = Family::default();
        let now = Instant::now();
        let began = self.lock();
        for priority in Priority::names() {
            let oldest = began.by_priority.get(priority).and_then(BTreeSet::first);
            let age = oldest.map(|(since, _)| now.saturating_duration_since(*since));
            let labels = PriorityLabels { priority };
            ages.get_or_create(&labels).set(age.unwrap_or_default().as_secs_f64());
        }
        drop(began);
        let help =
            "How long the call has waited that has waited longest for the lane; 0 if none does.";
        let name = "queue_oldest_age_seconds";
        let metric = encoder.encode_descriptor(name, help, None, ages.metric_type())?;
        ages.encode(metric)
    }
}

/// Bytes that are kept of a call while it waits.
#[derive(Debug)]
pub(crate) struct Kept {
    gauge: Gauge,
    bytes: i64,
}

impl Kept {
    pub(super) fn new(gauge: &Gauge, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        gauge.inc_by(bytes);
        Self { gauge: gauge.clone(), bytes }
    }

    /// None if there would be more than `bytes_max` with it, and not of it alone.
    pub(super) fn within(gauge: &Gauge, bytes: usize, bytes_max: usize) -> Option<Self> {
        let kept = Self::new(gauge, bytes);
        let all = usize::try_from(gauge.get()).unwrap_or(0);
        (all <= bytes_max.max(bytes)).then_some(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.gauge.dec_by(self.bytes);
    }
}
