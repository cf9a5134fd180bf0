//! The outbox of webhooks.

use std::collections::BTreeSet;

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    delivery::{Delivery, DeliveryOutcome, DeliveryState},
    id::{DeliveryId, JobId},
    ports::{
        bell::Change,
        outbox::{Busy, DueDeliveries, Outbox},
        store::StoreError,
    },
};

use crate::{Memory, tables::Tables};

#[async_trait]
impl Outbox for Memory {
    async fn due_deliveries(
        &self,
        at: Millis,
        limit: u32,
        busy: &Busy,
    ) -> Result<DueDeliveries, StoreError> {
        let tables = self.tables();
        let (mut due, later): (Vec<&Delivery>, Vec<&Delivery>) =
            heads(&tables).into_iter().partition(|one| one.next_at <= at);
        due.retain(|one| !busy.deliveries.contains(&one.id) && !busy.targets.contains(&one.target));
        let next_at = later.iter().map(|one| one.next_at).min();
        let next_at = if due.len() > limit as usize { Some(at) } else { next_at };
        due.sort_by_key(|one| one.next_at);
        let due = due.into_iter().take(limit as usize).cloned().collect();
        Ok(DueDeliveries { due, next_at })
    }

    async fn record_delivery(
        &self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.bury_record()?;
            let is_it = |one: &&mut Delivery| one.id == id && one.state == DeliveryState::Pending;
            // The first word stands.
            let Some(delivery) = tables.deliveries.iter_mut().find(is_it) else { return Ok(()) };
            delivery.attempts += 1;
            (delivery.state, delivery.last_error) = match outcome {
                DeliveryOutcome::Delivered => (DeliveryState::Delivered, None),
                DeliveryOutcome::Retry { delay_ms, error } => {
                    delivery.next_at = at.plus_ms(delay_ms);
                    (DeliveryState::Pending, Some(error))
                }
                DeliveryOutcome::GiveUp { error } => (DeliveryState::Dead, Some(error)),
            };
            delivery.finished_at = (delivery.state != DeliveryState::Pending).then_some(at);
            tables.changes.push(Change::Delivery);
            Ok(())
        })
    }

    async fn deliveries(&self, job: JobId) -> Result<Vec<Delivery>, StoreError> {
        let tables = self.tables();
        Ok(tables.deliveries.iter().filter(|one| one.job == job).cloned().collect())
    }
}

/// Of the deliveries of a job to one target that are open, the oldest; the others wait for their turn.
fn heads(tables: &Tables) -> Vec<&Delivery> {
    let mut known = BTreeSet::new();
    let open = tables.deliveries.iter().filter(|one| one.state == DeliveryState::Pending);
    open.filter(|one| known.insert((one.job, one.target.to_string()))).collect()
}
