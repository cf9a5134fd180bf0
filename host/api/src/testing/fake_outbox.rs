//! The outbox, in memory.

use std::sync::Mutex;

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

#[derive(Default)]
pub(crate) struct FakeOutbox(Mutex<Vec<Delivery>>);

impl FakeOutbox {
    pub(crate) fn put(&self, delivery: Delivery) {
        self.0.lock().unwrap().push(delivery);
    }
}

#[async_trait]
impl Outbox for FakeOutbox {
    async fn deliveries(&self, _: JobId) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.0.lock().unwrap().clone())
    }
    async fn due_deliveries(
        &self,
        _: Millis,
        _: u32,
        _: &Busy,
    ) -> Result<DueDeliveries, StoreError> {
        unreachable!("the engine's")
    }
    async fn record_delivery(
        &self,
        _: DeliveryId,
        _: DeliveryOutcome,
        _: Millis,
    ) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
}
