//! The transactional outbox of webhook deliveries. Rows are written by [`super::store::Store::finish`].

use async_trait::async_trait;

use super::store::StoreError;
use crate::{
    clock::Millis,
    delivery::{Delivery, DeliveryOutcome, Target},
    id::{DeliveryId, JobId},
};

/// Deliveries that are due, and when there will be more.
#[derive(Clone, Debug, Default)]
pub struct DueDeliveries {
    /// To be sent now; at most one for each job and target, so that their order holds.
    pub due: Vec<Delivery>,
    /// When to look again.
    pub next_at: Option<Millis>,
}

/// Deliveries that are not looked for although they are due.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    /// These are under way.
    pub deliveries: Vec<DeliveryId>,
    /// To these targets as many are under way as may be.
    pub targets: Vec<Target>,
}

/// The outbox.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Up to `limit` deliveries that are due, the longest due first, without those that are `busy`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn due_deliveries(
        &self,
        at: Millis,
        limit: u32,
        busy: &Busy,
    ) -> Result<DueDeliveries, StoreError>;

    /// Records how an attempt ended.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record_delivery(
        &self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        at: Millis,
    ) -> Result<(), StoreError>;

    /// The deliveries of a job, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn deliveries(&self, job: JobId) -> Result<Vec<Delivery>, StoreError>;
}
