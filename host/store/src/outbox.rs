//! The outbox of webhooks: [`Outbox`] on SQLite.

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
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    SqliteStore,
    command::{Command, Unreadable},
    fault::Fault,
    row,
    transition::to_json,
};

/// So many more than are wanted are looked through one by one, of those that have been due longest. None of them will do
/// only where a busy target has a backlog.
const LOOKED_THROUGH: u32 = 256;

#[async_trait]
impl Outbox for SqliteStore {
    async fn due_deliveries(
        &self,
        at: Millis,
        limit: u32,
        busy: &Busy,
    ) -> Result<DueDeliveries, StoreError> {
        let due = self.read_due_deliveries(at, limit, busy).await;
        due.map_err(|fault| fault.told("look for due deliveries"))
    }

    async fn record_delivery(
        &self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.ask(|reply| Command::RecordDelivery { id, outcome, at, reply }).await
    }

    async fn deliveries(&self, job: JobId) -> Result<Vec<Delivery>, StoreError> {
        let deliveries = self.read_deliveries(job).await;
        deliveries.map_err(|fault| fault.told("read the deliveries of a job"))
    }
}

impl SqliteStore {
    async fn read_due_deliveries(
        &self,
        at: Millis,
        limit: u32,
        busy: &Busy,
    ) -> Result<DueDeliveries, Fault> {
        let rows = self.find_due_deliveries(at, limit, busy).await?;
        let (mut due, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for found in &rows {
            match row::delivery(found) {
                Ok(delivery) => due.push(delivery),
                Err(error) => {
                    let why = format!("the store cannot read this delivery: {error}");
                    unreadable.push(Unreadable { seq: found.try_get("seq")?, why });
                }
            }
        }
        let was_blocked = !unreadable.is_empty();
        if was_blocked {
            self.ask(|reply| Command::BuryDeliveries { unreadable, at, reply }).await?;
        }
        // A full answer may have left some that are due as well, and so may one that was blocked.
        let is_full = u32::try_from(rows.len()).is_ok_and(|len| len >= limit);
        let next_at =
            if is_full || was_blocked { Some(at) } else { self.next_delivery(at).await? };
        Ok(DueDeliveries { due, next_at })
    }

    /// The targets are gone through only behind a backlog: there may be as many of them as deliveries.
    async fn find_due_deliveries(
        &self,
        at: Millis,
        limit: u32,
        busy: &Busy,
    ) -> Result<Vec<SqliteRow>, Fault> {
        let (deliveries, targets) = (to_json(&busy.deliveries)?, to_json(&busy.targets)?);
        // So many that a full look has `limit` of them, unless it is the targets that are in the way.
        let under_way = u32::try_from(busy.deliveries.len()).unwrap_or(u32::MAX);
        let depth = LOOKED_THROUGH.saturating_add(limit).saturating_add(under_way);
        let due = sqlx::query(sql!("delivery/due"));
        let due = due.bind(at.0).bind(limit).bind(&deliveries).bind(&targets).bind(depth);
        let found = due.fetch_all(&self.readers).await?;
        let is_full = u32::try_from(found.len()).is_ok_and(|len| len >= limit);
        if is_full || busy.targets.is_empty() || !self.is_deep(at, depth).await? {
            return Ok(found);
        }
        let due = sqlx::query(sql!("delivery/due_of_others"));
        let due = due.bind(at.0).bind(limit).bind(&deliveries).bind(&targets);
        Ok(due.fetch_all(&self.readers).await?)
    }

    async fn is_deep(&self, at: Millis, depth: u32) -> Result<bool, Fault> {
        let is_deep = sqlx::query_scalar(sql!("delivery/is_deep")).bind(at.0).bind(depth);
        Ok(is_deep.fetch_one(&self.readers).await?)
    }

    async fn next_delivery(&self, after: Millis) -> Result<Option<Millis>, Fault> {
        let next: Option<i64> = sqlx::query_scalar(sql!("delivery/next"))
            .bind(after.0)
            .fetch_one(&self.readers)
            .await?;
        Ok(next.map(Millis))
    }

    async fn read_deliveries(&self, job: JobId) -> Result<Vec<Delivery>, Fault> {
        let rows = sqlx::query(sql!("delivery/list"))
            .bind(job.to_string())
            .fetch_all(&self.readers)
            .await?;
        let deliveries = rows.iter().filter_map(|found| match row::delivery(found) {
            Ok(delivery) => Some(delivery),
            Err(error) => {
                tracing::warn!(%job, %error, "a delivery of job {job} cannot be read and is left out");
                None
            }
        });
        Ok(deliveries.collect())
    }
}
