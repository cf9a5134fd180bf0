//! The deliveries.

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    delivery::{Delivery, DeliveryOutcome},
    id::{DeliveryId, JobId},
    ports::{
        outbox::{Busy, DueDeliveries, Outbox},
        store::StoreError,
    },
};

use super::Frail;

#[async_trait]
impl Outbox for Frail {
    async fn due_deliveries(
        &self,
        at: Millis,
        limit: u32,
        busy: &Busy,
    ) -> Result<DueDeliveries, StoreError> {
        self.cross(self.inner.due_deliveries(at, limit, busy)).await
    }

    async fn record_delivery(
        &self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.cross(self.inner.record_delivery(id, outcome, at)).await
    }

    async fn deliveries(&self, job: JobId) -> Result<Vec<Delivery>, StoreError> {
        self.cross(self.inner.deliveries(job)).await
    }
}
