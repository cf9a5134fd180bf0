//! Sends what the outbox holds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use roughneck_jobs::{
    causes::Causes,
    delivery::{ATTEMPTS_MAX, BACKOFF, Delivery, DeliveryOutcome, Target},
    failure::Failure,
    id::DeliveryId,
    ports::{courier::NotDelivered, outbox::Busy, store::StoreError},
    retry::{self, Next, RetryPolicy},
};
use tokio::task::{self, JoinSet};
use tracing::{debug, error, warn};

use crate::{
    pause::{AFTER_ERROR, LOOK_AGAIN, until},
    shared::Shared,
};

/// The code of a webhook that did not reach its target. It is no job's, and nobody outside sees it.
const NOT_DELIVERED: &str = "not-delivered";

/// Deliveries under way at once, over all targets.
const AT_ONCE: usize = 32;

/// The same to one target, so that one that does not answer leaves room to the others.
const AT_ONCE_TO_ONE: usize = 8;

/// How long the last deliveries may take when the host stops. One that does not end is sent again after the next
/// start.
const STOP_LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn serve(shared: Arc<Shared>) {
    let mut sending = Sending::default();
    loop {
        let pause = match begin(&shared, &mut sending).await {
            Ok(pause) => pause,
            Err(error) => {
                error!(error = %Causes(&error), "the outbox could not be read; trying again");
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
    let _ = tokio::time::timeout(STOP_LIMIT, send_the_rest(&shared, &mut sending)).await;
}

/// Sends what is due now, with what the last runs have left. The bell for that waits for the disk, and has perhaps not
/// been heard.
async fn send_the_rest(shared: &Arc<Shared>, sending: &mut Sending) {
    loop {
        if let Err(error) = begin(shared, sending).await {
            error!(
                error = %Causes(&error),
                "the outbox could not be read; what it holds is sent after the next start"
            );
            return sending.all_ended().await;
        }
        if sending.under_way.is_empty() {
            return;
        }
        sending.one_ended().await;
    }
}

/// The deliveries under way. The store shows them as due until they are recorded.
#[derive(Default)]
struct Sending {
    tasks: JoinSet<()>,
    under_way: HashMap<task::Id, (DeliveryId, Target)>,
}

impl Sending {
    /// How many more may begin.
    fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.under_way.len())
    }

    fn has_room_for(&self, target: &Target) -> bool {
        let to_target = self.under_way.values().filter(|(_, other)| other == target);
        to_target.count() < AT_ONCE_TO_ONE
    }

    /// What is not to be looked for.
    fn busy(&self) -> Busy {
        let (deliveries, mut targets): (Vec<_>, Vec<_>) = self.under_way.values().cloned().unzip();
        targets.retain(|target| !self.has_room_for(target));
        Busy { deliveries, targets }
    }

    fn begin(&mut self, shared: &Arc<Shared>, delivery: Delivery) {
        let (id, target) = (delivery.id, delivery.target.clone());
        let handle = self.tasks.spawn(send(Arc::clone(shared), delivery));
        self.under_way.insert(handle.id(), (id, target));
    }

    /// Returns when one has ended; never, while there is none.
    async fn one_ended(&mut self) {
        let ended = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            // It panicked. It is due again, with its attempts as they were.
            Some(Err(error)) => error.id(),
            None => return std::future::pending().await,
        };
        self.under_way.remove(&ended);
    }

    async fn all_ended(&mut self) {
        while !self.under_way.is_empty() {
            self.one_ended().await;
        }
    }
}

/// Begins the deliveries that are due, and returns the wait until the next ones.
async fn begin(shared: &Arc<Shared>, sending: &mut Sending) -> Result<Duration, StoreError> {
    loop {
        let room = u32::try_from(sending.room()).unwrap_or(u32::MAX);
        if room == 0 {
            // The first that ends wakes this loop.
            return Ok(LOOK_AGAIN);
        }
        let now = shared.parts.clock.now();
        let found = shared.parts.outbox.due_deliveries(now, room, &sending.busy()).await?;
        let mut is_all = true;
        for delivery in found.due {
            if sending.has_room_for(&delivery.target) {
                sending.begin(shared, delivery);
            } else {
                is_all = false;
            }
        }
        if is_all {
            return Ok(until(found.next_at, now));
        }
        // A target has no room since this look, and had it before: what others are to get may stand behind it.
    }
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
                error!(id = %delivery.id, error = %Causes(&error), "the end of delivery {} could not be kept; trying again", delivery.id);
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
            let failure = Failure { retry_after_ms, ..Failure::retry(NOT_DELIVERED, &message) };
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
