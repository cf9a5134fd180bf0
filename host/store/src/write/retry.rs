//! Running again what has failed or was cancelled.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::DeadLetters,
    lifecycle::{self, Event},
    ports::store::{Retried, StoreError},
};

use crate::{fault::Fault, step::Step, transaction::Transaction, transition};

/// Queues a job again, if it has failed or was cancelled.
pub(crate) async fn job(tx: &mut Transaction<'_>, id: JobId, at: Millis) -> Result<Retried, Fault> {
    let held = super::job(tx, id).await?.ok_or(StoreError::NoSuchJob(id))?;
    if lifecycle::advance(&held.progress(), Event::Replayed).is_err() {
        return Ok(Retried::Unchanged(held.job.state));
    }
    let step = Step::because(Event::Replayed, at, "retried on request");
    transition::make(tx, held, step).await?;
    Ok(Retried::Queued)
}

/// Queues dead letters again, the oldest first, and returns how many. One whose row cannot be read
/// stays what it is, and its place is for the next one.
pub(crate) async fn many(
    tx: &mut Transaction<'_>,
    which: &DeadLetters,
    limit: u32,
    at: Millis,
) -> Result<u32, Fault> {
    let mut retried = 0;
    let mut after = String::new();
    while retried < limit {
        let ids: Vec<String> = sqlx::query_scalar(sql!("job/dead"))
            .bind(&which.kind)
            .bind(&which.code)
            .bind(limit - retried)
            .bind(after)
            .fetch_all(&mut *tx.connection)
            .await?;
        let Some(last) = ids.last() else { break };
        after = last.clone();
        for id in ids {
            retried += u32::from(is_retried(tx, &id, at).await?);
        }
    }
    Ok(retried)
}

async fn is_retried(tx: &mut Transaction<'_>, id: &str, at: Millis) -> Result<bool, Fault> {
    let part = tx.save().await?;
    let result = one(tx, id, at).await;
    tx.end(part, result.is_ok()).await?;
    if let Err(fault) = &result {
        tracing::error!(job = %id, error = ?fault, "job {id} cannot be retried and stays a dead letter");
    }
    Ok(result.is_ok())
}

async fn one(tx: &mut Transaction<'_>, id: &str, at: Millis) -> Result<Retried, Fault> {
    let id: JobId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    job(tx, id, at).await
}
