//! Runs whose host died or went silent.

use roughneck_jobs::{clock::Millis, id::JobId, lifecycle::Event, ports::store::Swept, run};

use super::promote::ids;
use crate::{
    fault::Fault,
    transaction::Transaction,
    transition::{self, Step},
};

/// Takes back every run there is: the process that made them is dead. Returns how many.
pub(crate) async fn recover(tx: &mut Transaction<'_>, at: Millis) -> Result<u32, Fault> {
    let running = sqlx::query(sql!("job/running")).fetch_all(&mut *tx.connection).await?;
    take_back(tx, ids(&running)?, at, "its host died while it ran").await
}

/// Takes back runs whose lease has expired, the longest expired first.
pub(crate) async fn reap(tx: &mut Transaction<'_>, at: Millis, limit: u32) -> Result<Swept, Fault> {
    let expired = sqlx::query(sql!("job/expired"))
        .bind(at.0)
        .bind(limit)
        .fetch_all(&mut *tx.connection)
        .await?;
    let jobs = take_back(tx, ids(&expired)?, at, "its lease expired while it ran").await?;
    let next: Option<i64> =
        sqlx::query_scalar(sql!("job/next_lease")).fetch_one(&mut *tx.connection).await?;
    Ok(Swept { jobs, next_at: next.map(Millis) })
}

async fn take_back(
    tx: &mut Transaction<'_>,
    jobs: Vec<JobId>,
    at: Millis,
    reason: &str,
) -> Result<u32, Fault> {
    let mut taken = 0;
    for id in jobs {
        let part = tx.save().await?;
        let result = lose(tx, id, at, reason).await;
        tx.end(part, result.is_ok()).await?;
        match result {
            Ok(()) => taken += 1,
            Err(fault) => push(tx, id, at, &fault).await?,
        }
    }
    Ok(taken)
}

async fn lose(tx: &mut Transaction<'_>, id: JobId, at: Millis, reason: &str) -> Result<(), Fault> {
    if let Some(held) = super::job(tx, id).await? {
        transition::make(tx, held, Step::because(Event::Lost, at, reason)).await?;
    }
    Ok(())
}

/// One row that cannot be read must not keep the others from being taken back.
async fn push(tx: &mut Transaction<'_>, id: JobId, at: Millis, fault: &Fault) -> Result<(), Fault> {
    tracing::error!(job = %id, error = ?fault, "the run of job {id} cannot be taken back; trying again in a minute");
    sqlx::query(sql!("job/push_lease"))
        .bind(id.to_string())
        .bind(at.plus_ms(run::LEASE_MS).0)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}
