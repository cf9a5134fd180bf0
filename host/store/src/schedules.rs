//! The memory of schedules: [`Schedules`] on SQLite.

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    ports::{
        schedules::{Schedules, Settlement},
        store::StoreError,
    },
};

use crate::{SqliteStore, command::Command, fault::Fault, store::is_later};

#[async_trait]
impl Schedules for SqliteStore {
    async fn handled_up_to(&self, schedule: &str, now: Millis) -> Result<Millis, StoreError> {
        let known = self.read_schedule(schedule).await;
        if let Some(at) = known.map_err(|fault| fault.told("read a schedule"))? {
            return Ok(at);
        }
        let schedule = schedule.to_owned();
        self.ask(|reply| Command::RememberSchedule { schedule, now, reply }).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Vec<JobId>, StoreError> {
        self.ask(|reply| Command::Settle { settlement, reply }).await
    }

    async fn forget_fires(&self, until: Millis, limit: u32) -> Result<u32, StoreError> {
        let oldest = self.read_instant(sql!("fire/oldest")).await;
        let oldest = oldest.map_err(|fault| fault.told("look for old fires of schedules"))?;
        if is_later(oldest, until) {
            return Ok(0);
        }
        self.ask(|reply| Command::ForgetFires { until, limit, reply }).await
    }
}

impl SqliteStore {
    async fn read_schedule(&self, schedule: &str) -> Result<Option<Millis>, Fault> {
        let at: Option<i64> = sqlx::query_scalar(sql!("schedule/read"))
            .bind(schedule)
            .fetch_optional(&self.readers)
            .await?;
        Ok(at.map(Millis))
    }
}
