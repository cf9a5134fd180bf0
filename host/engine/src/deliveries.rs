//! Sends what the outbox holds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use roughneck_jobs::{
    delivery::{ATTEMPTS_MAX, BACKOFF, Delivery, DeliveryOutcome},
    failure::Failure,
    id::DeliveryId,
    ports::{courier::NotDelivered, store::StoreError},
    retry::{self, Next, RetryPolicy},
};
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use crate::{
    pause::{AFTER_ERROR, until},
    start::Shared,
};

/// Deliveries under way at once, over all targets.
const AT_ONCE: u32 = 32;

pub(crate) async fn serve(shared: Arc<Shared>) {
    let mut sending: JoinSet<DeliveryId> = JoinSet::new();
    let mut under_way: HashSet<DeliveryId> = HashSet::new();
    loop {
        let pause = match begin(&shared, &mut sending, &mut under_way).await {
            Ok(pause) => pause,
            Err(error) => {
                error!(%error, "the outbox could not be read; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            // What is under way is recorded as failed by nobody: it is sent again after the start.
            () = shared.stopping.cancelled() => return,
            () = shared.parts.bells.deliveries.notified() => {}
            Some(sent) = sending.join_next() => {
                if let Ok(id) = sent {
                    under_way.remove(&id);
                } else {
                    // A task that panicked took its id along; begin afresh rather than leak it.
                    sending.abort_all();
                    under_way.clear();
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Begins the deliveries that are due, and returns the wait until the next ones.
async fn begin(
    shared: &Arc<Shared>,
    sending: &mut JoinSet<DeliveryId>,
    under_way: &mut HashSet<DeliveryId>,
) -> Result<Duration, StoreError> {
    let now = shared.parts.clock.now();
    let found = shared.parts.outbox.due_deliveries(now, AT_ONCE).await?;
    for delivery in found.due {
        if under_way.insert(delivery.id) {
            sending.spawn(send(Arc::clone(shared), delivery));
        }
    }
    // Those under way wake this loop when they end.
    Ok(if under_way.is_empty() { until(found.next_at, now) } else { crate::pause::LOOK_AGAIN })
}

async fn send(shared: Arc<Shared>, delivery: Delivery) -> DeliveryId {
    let parts = &shared.parts;
    let result = parts.courier.send(&delivery, parts.clock.now()).await;
    let outcome = judge(result, delivery.attempts + 1, parts.entropy.fraction());
    report(&shared, &delivery, &outcome);
    if let Err(error) = parts.outbox.record_delivery(delivery.id, outcome, parts.clock.now()).await
    {
        error!(delivery = %delivery.id, %error, "the end of delivery {} was not kept; it will be sent again", delivery.id);
    }
    delivery.id
}

/// What follows from attempt number `attempt`. `roll` is the dice of the jitter.
fn judge(result: Result<(), NotDelivered>, attempt: u32, roll: f64) -> DeliveryOutcome {
    let policy = RetryPolicy { attempts_max: ATTEMPTS_MAX, backoff: BACKOFF, jitter: true };
    match result {
        Ok(()) => DeliveryOutcome::Delivered,
        Err(NotDelivered::ForGood(error)) => DeliveryOutcome::GiveUp { error },
        Err(NotDelivered::ForNow { message, retry_after_ms }) => {
            let failure = Failure { retry_after_ms, ..Failure::retry("not-delivered", &message) };
            match retry::decide(&policy, &failure, attempt, roll) {
                Next::After { delay_ms } => DeliveryOutcome::Retry { delay_ms, error: message },
                Next::GiveUp | Next::Cancel => DeliveryOutcome::GiveUp { error: message },
            }
        }
    }
}

fn report(shared: &Shared, delivery: &Delivery, outcome: &DeliveryOutcome) {
    shared.parts.metrics.delivered(outcome);
    let Delivery { id, job, event, .. } = delivery;
    match outcome {
        DeliveryOutcome::Delivered => debug!(%id, %job, "{event} of job {job} was delivered"),
        DeliveryOutcome::Retry { delay_ms, error } => {
            warn!(%id, %job, error, "{event} of job {job} was not delivered; next attempt in {delay_ms} ms");
        }
        DeliveryOutcome::GiveUp { error } => {
            warn!(%id, %job, error, "{event} of job {job} could not be delivered and is kept as dead");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_now(retry_after_ms: Option<u64>) -> Result<(), NotDelivered> {
        Err(NotDelivered::ForNow { message: "503".into(), retry_after_ms })
    }

    #[test]
    fn a_delivery_is_repeated_with_growing_delays_and_then_given_up() {
        let error = || "503".to_owned();
        let table = [
            (Ok(()), 1, DeliveryOutcome::Delivered),
            (for_now(None), 1, DeliveryOutcome::Retry { delay_ms: 500, error: error() }),
            (for_now(None), 4, DeliveryOutcome::Retry { delay_ms: 4_000, error: error() }),
            (for_now(Some(9_000)), 1, DeliveryOutcome::Retry { delay_ms: 9_000, error: error() }),
            (for_now(None), ATTEMPTS_MAX, DeliveryOutcome::GiveUp { error: error() }),
            (Err(NotDelivered::ForGood(error())), 1, DeliveryOutcome::GiveUp { error: error() }),
        ];
        for (result, attempt, expected) in table {
            assert_eq!(judge(result, attempt, 0.0), expected);
        }
    }
}
