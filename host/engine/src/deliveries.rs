//! Sends what the outbox holds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use roughneck_jobs::{
    delivery::{ATTEMPTS_MAX, BACKOFF, Delivery, DeliveryOutcome},
    failure::Failure,
    id::DeliveryId,
    ports::{courier::NotDelivered, store::StoreError},
    retry::{self, Next, RetryPolicy},
};
use tokio::task::{self, JoinSet};
use tracing::{debug, error, warn};

use crate::{
    pause::{AFTER_ERROR, LOOK_AGAIN, until},
    shared::Shared,
};

/// Deliveries under way at once, over all targets.
const AT_ONCE: u32 = 32;

/// How long deliveries under way may take to end when the host stops. One that does not is sent
/// again after the next start.
const STOP_LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn serve(shared: Arc<Shared>) {
    let mut sending = Sending::default();
    loop {
        let pause = match begin(&shared, &mut sending).await {
            Ok(pause) => pause,
            Err(error) => {
                error!(%error, "the outbox could not be read; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.closing.cancelled() => break,
            () = shared.parts.bells.deliveries.notified() => {}
            () = sending.one_ended() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    // What does not end in time ends with the set.
    let _ = tokio::time::timeout(STOP_LIMIT, sending.all_ended()).await;
}

/// The deliveries under way. The store shows them as due until they are recorded.
#[derive(Default)]
struct Sending {
    tasks: JoinSet<()>,
    ids: HashMap<task::Id, DeliveryId>,
}

impl Sending {
    fn has_room(&self) -> bool {
        self.ids.len() < AT_ONCE as usize
    }

    fn begin(&mut self, shared: &Arc<Shared>, delivery: Delivery) {
        if !self.ids.values().any(|id| *id == delivery.id) {
            let id = delivery.id;
            let handle = self.tasks.spawn(send(Arc::clone(shared), delivery));
            self.ids.insert(handle.id(), id);
        }
    }

    /// Returns when one has ended; never, while there is none.
    async fn one_ended(&mut self) {
        let ended = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            // It panicked. It is due again, with its attempts as they were.
            Some(Err(error)) => error.id(),
            None => return std::future::pending().await,
        };
        self.ids.remove(&ended);
    }

    async fn all_ended(&mut self) {
        while !self.ids.is_empty() {
            self.one_ended().await;
        }
    }
}

/// Begins the deliveries that are due, and returns the wait until the next ones.
async fn begin(shared: &Arc<Shared>, sending: &mut Sending) -> Result<Duration, StoreError> {
    if !sending.has_room() {
        // The first that ends wakes this loop.
        return Ok(LOOK_AGAIN);
    }
    let now = shared.parts.clock.now();
    let found = shared.parts.outbox.due_deliveries(now, AT_ONCE).await?;
    for delivery in found.due {
        sending.begin(shared, delivery);
    }
    Ok(until(found.next_at, now))
}

async fn send(shared: Arc<Shared>, delivery: Delivery) {
    let parts = &shared.parts;
    let result = parts.courier.send(&delivery, parts.clock.now()).await;
    let outcome = judge(result, delivery.attempts + 1, parts.entropy.fraction());
    report(&shared, &delivery, &outcome);
    // It stays under way until it is recorded: a store that cannot write must not make the host
    // send the same event as fast as its target takes it.
    loop {
        let at = parts.clock.now();
        match parts.outbox.record_delivery(delivery.id, outcome.clone(), at).await {
            Ok(()) => return,
            Err(StoreError::Closed) => return,
            Err(error) => {
                error!(id = %delivery.id, %error, "the end of delivery {} could not be kept; trying again", delivery.id);
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
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
