//! Feels the pulse of Ollama when the breaker asks for it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{lane::Shared, pulse};

/// A lane that is taken although no calls go is about to be free.
const TAKEN: Duration = Duration::from_millis(100);

/// Watches until `stop`.
pub(crate) async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch_on(&shared) => {}
    }
}

async fn watch_on(shared: &Shared) {
    loop {
        let pulse_at = shared.circuit.pulse_at();
        tokio::select! {
            biased;
            () = shared.inventory.returned() => shared.circuit.renewed(),
            () = until(pulse_at) => feel(shared).await,
            () = shared.circuit.pulse_moves(pulse_at) => {}
        }
    }
}

/// Feels the pulse that is due.
async fn feel(shared: &Shared) {
    let Some(mut turn) = shared.queue.vacant() else {
        return tokio::time::sleep(TAKEN).await;
    };
    let was_ill = shared.circuit.error().is_some();
    let pulse = pulse::feel(shared, &mut turn).await;
    // In this order: only then may the next call go.
    shared.circuit.felt(pulse);
    drop(turn);
    if was_ill && shared.circuit.admits() {
        shared.inventory.ring();
    }
}

/// Waits until then, or for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
