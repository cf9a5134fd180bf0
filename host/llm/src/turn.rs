//! Whose call it is. First come, first served, until a planner decides.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

use crate::{metrics::InFlight, metrics::Metrics, residency::Residency};

/// The queue in front of the lane. A planner that prefers the resident model replaces
/// [`Turns::take`]; nothing else knows the order.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Tokio's mutex hands itself over in the order of asking.
    lane: Arc<Mutex<Residency>>,
    metrics: Arc<Metrics>,
}

/// The right to talk to Ollama. Only its holder may know or change what is loaded. Dropping it lets
/// the next one in. After a cancelled call that one may reach Ollama some milliseconds before
/// Ollama notices that the other client has left; its own single slot keeps the two apart.
#[derive(Debug)]
pub(crate) struct Turn {
    residency: OwnedMutexGuard<Residency>,
    _in_flight: InFlight,
}

impl Turns {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let lane = Arc::new(Mutex::new(Residency::unknown(Instant::now())));
        Self { lane, metrics }
    }

    /// Waits until it is the caller's turn.
    pub(crate) async fn take(&self) -> Turn {
        let residency = Arc::clone(&self.lane).lock_owned().await;
        Turn { residency, _in_flight: self.metrics.in_flight() }
    }
}

impl Turn {
    /// What is loaded.
    pub(crate) fn residency(&mut self) -> &mut Residency {
        &mut self.residency
    }
}
