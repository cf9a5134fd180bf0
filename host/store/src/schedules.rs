//! The memory of schedules: [`Schedules`] on SQLite.

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    ports::{
        schedules::{Created, Schedules, Settled, Settlement},
        store::StoreError,
    },
    schedule::{Kept, Pause, Spec},
};
use sqlx::Row as _;

use crate::{SqliteStore, command::Command, fault::Fault, kept::kept, store::is_later};

#[async_trait]
impl Schedules for SqliteStore {
    async fn schedules(&self) -> Result<Vec<Kept>, StoreError> {
        self.read_schedules().await.map_err(|fault| fault.told("read the schedules"))
    }

    async fn schedule(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        self.read_schedule(id).await.map_err(|fault| fault.told("read a schedule"))
    }

    async fn remember_schedule(
        &self,
        id: &str,
        timing: &str,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        let (id, timing) = (id.to_owned(), timing.to_owned());
        self.ask(|reply| Command::RememberSchedule { id, timing, now, reply }).await
    }

    async fn create_schedule(
        &self,
        spec: Spec,
        pause: Option<Pause>,
        at: Millis,
        max: u32,
    ) -> Result<Created, StoreError> {
        let spec = Box::new(spec);
        self.ask(|reply| Command::CreateSchedule { spec, pause, at, max, reply }).await
    }

    async fn change_schedule(&self, spec: Spec, at: Millis) -> Result<bool, StoreError> {
        let spec = Box::new(spec);
        self.ask(|reply| Command::ChangeSchedule { spec, at, reply }).await
    }

    async fn delete_schedule(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.ask(|reply| Command::DeleteSchedule { id, reply }).await
    }

    async fn pause_schedule(&self, id: &str, pause: Pause) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.ask(|reply| Command::PauseSchedule { id, pause, reply }).await
    }

    async fn resume_schedule(&self, id: &str, at: Millis) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.ask(|reply| Command::ResumeSchedule { id, at, reply }).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        if !settlement.jobs.is_empty() {
            self.intake.check()?;
        }
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
    async fn read_schedules(&self) -> Result<Vec<Kept>, Fault> {
        let rows = sqlx::query(sql!("schedule/list")).fetch_all(&self.readers).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            match kept(row) {
                Ok(kept) => all.push(kept),
                // It must not keep the others from firing.
                Err(error) => {
                    let id: String = row.try_get("id")?;
                    tracing::error!(schedule = id, %error, "schedule {id} cannot be read and is left out");
                }
            }
        }
        Ok(all)
    }

    async fn read_schedule(&self, id: &str) -> Result<Option<Kept>, Fault> {
        let row = sqlx::query(sql!("schedule/read")).bind(id).fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(kept).transpose()?)
    }
}
