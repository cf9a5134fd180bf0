//! Counts the queue.
//!
//! That takes longer the more is queued, so the dispatcher does not wait for it.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    causes::Causes,
    ports::bell::{Bell as _, Change},
    state::State,
};
use tokio::time::MissedTickBehavior;
use tracing::error;

use crate::shared::Shared;

/// How often the queue is looked at although no bell rang.
const LOOK: Duration = Duration::from_secs(5);

/// Refreshes the gauges, and rings for what is queued: that repairs a lost notification.
pub(crate) async fn serve(shared: Arc<Shared>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            _ = looks.tick() => {}
        }
        let counts = match shared.parts.store.counts().await {
            Ok(counts) => counts,
            Err(error) => {
                error!(error = %Causes(&error), "the queue could not be counted");
                continue;
            }
        };
        shared.parts.metrics.set_counts(&counts, &shared.config.slots);
        for count in counts.into_iter().filter(|it| it.state == State::Queued && it.jobs > 0) {
            shared.parts.bells.ring(Change::Class(count.class));
        }
    }
}
