//! Children: [`Children`] on SQLite.

use async_trait::async_trait;
use roughneck_jobs::{
    child::{Family, NewChild, SubmittedChild},
    flow::{Dependency, RESULTS_BYTES_MAX},
    id::JobId,
    ports::{children::Children, store::StoreError},
    run::Run,
};
use serde_json::Value;
use sqlx::Row as _;

use crate::{SqliteStore, command::Command, fault::Fault, row};

#[async_trait]
impl Children for SqliteStore {
    async fn submit_child(&self, run: Run, child: NewChild) -> Result<SubmittedChild, StoreError> {
        // A full host answers what it has taken before.
        if self.intake.is_full()? {
            let known = self.is_child(run.job, &child.name).await;
            if !known.map_err(|fault| fault.told("look for a child of a job"))? {
                self.intake.check()?;
            }
        }
        let child = Box::new(child);
        let submitted = self.ask(|reply| Command::SubmitChild { run, child, reply }).await;
        if matches!(submitted, Err(StoreError::DiskFull { .. })) {
            self.intake.overflowed();
        }
        submitted
    }

    async fn children(&self, parent: JobId, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        let children = self.read_children(parent, ids).await;
        children.map_err(|fault| fault.told("read the results of children"))
    }

    async fn family(&self, id: JobId, limit: u32) -> Result<Option<Family>, StoreError> {
        let family = self.read_family(id, limit).await;
        family.map_err(|fault| fault.told("read the relatives of a job"))
    }
}

impl SqliteStore {
    async fn is_child(&self, parent: JobId, name: &str) -> Result<bool, Fault> {
        let is_child = sqlx::query_scalar(sql!("job/is_child"))
            .bind(parent.to_string())
            .bind(name)
            .fetch_one(&self.readers)
            .await?;
        Ok(is_child)
    }

    async fn read_children(&self, parent: JobId, ids: &[JobId]) -> Result<Vec<Dependency>, Fault> {
        let ids: Value = ids.iter().map(|id| Value::from(id.to_string())).collect();
        let rows = sqlx::query(sql!("job/list_results_of_children"))
            .bind(parent.to_string())
            .bind(ids.to_string())
            .bind(i64::try_from(RESULTS_BYTES_MAX).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.iter().map(row::dependency).collect::<Result<_, _>>()?)
    }

    async fn read_family(&self, id: JobId, limit: u32) -> Result<Option<Family>, Fault> {
        let id = id.to_string();
        let relatives =
            sqlx::query(sql!("job/read_relatives")).bind(&id).fetch_optional(&self.readers).await?;
        let Some(relatives) = relatives else { return Ok(None) };
        let has_parent = relatives.try_get::<Option<String>, _>("id")?.is_some();
        let children = sqlx::query(sql!("job/list_children"))
            .bind(&id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        let count: i64 = sqlx::query_scalar(sql!("job/count_children"))
            .bind(&id)
            .fetch_one(&self.readers)
            .await?;
        Ok(Some(Family {
            name: relatives.try_get("child_name")?,
            depth: relatives.try_get("depth")?,
            awaits: relatives.try_get("awaits")?,
            parent: has_parent.then(|| row::relative(&relatives)).transpose()?,
            children: children.iter().map(row::relative).collect::<Result<_, _>>()?,
            children_count: u64::try_from(count).unwrap_or(0),
        }))
    }
}
