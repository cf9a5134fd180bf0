//! Accepting a flow.

use roughneck_jobs::{
    flow::NewFlow,
    id::{FlowId, JobId},
    job::NewJob,
    ports::{flows::SubmittedFlow, store::StoreError},
};
use serde_json::Value;

use super::submit;
use crate::{fault::Fault, row, transaction::Transaction};

/// Accepts a flow with all its jobs, or returns the one that stands in its place.
pub(crate) async fn all(tx: &mut Transaction<'_>, flow: &NewFlow) -> Result<SubmittedFlow, Fault> {
    let inserted = sqlx::query(sql!("flow/insert"))
        .bind(flow.id.to_string())
        .bind(&flow.name)
        .bind(i64::try_from(flow.jobs.len()).unwrap_or(i64::MAX))
        .bind(&flow.digest)
        .bind(flow.enqueued_at.0)
        .bind(&flow.idempotency_key)
        .execute(tx.connection().await?)
        .await?;
    if inserted.rows_affected() == 0 {
        return Ok(SubmittedFlow::Existing(standing(tx, flow).await?));
    }
    let jobs: Vec<&NewJob> = flow.jobs.iter().collect();
    if let Some(known) = first_known(tx, &jobs).await? {
        // The flow would have a job of somebody else.
        return Err(StoreError::JobExists(known).into());
    }
    if submit::all(tx, &jobs).await? {
        return Ok(SubmittedFlow::Created(flow.id));
    }
    for job in jobs {
        if let Some(holder) = submit::unique_holder(tx, job).await? {
            return Err(StoreError::JobExists(holder).into());
        }
    }
    Err(sqlx::Error::RowNotFound.into())
}

async fn first_known(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<Option<JobId>, Fault> {
    let ids: Value = jobs.iter().map(|job| Value::from(job.id.to_string())).collect();
    let known = sqlx::query(sql!("job/first_known"))
        .bind(ids.to_string())
        .fetch_optional(tx.connection().await?)
        .await?;
    Ok(known.as_ref().map(|known| row::text(known, "id")).transpose()?)
}

/// The flow that stands in the way: that of its key or, if the key is new, that of its id.
async fn standing(tx: &mut Transaction<'_>, flow: &NewFlow) -> Result<FlowId, Fault> {
    let Some(key) = &flow.idempotency_key else { return Ok(flow.id) };
    let known = sqlx::query(sql!("flow/id_of_key"))
        .bind(key)
        .fetch_optional(tx.connection().await?)
        .await?;
    Ok(known.as_ref().map(|known| row::text(known, "id")).transpose()?.unwrap_or(flow.id))
}
