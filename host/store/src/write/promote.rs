//! Jobs whose time has come.

use roughneck_jobs::{clock::Millis, id::JobId, lifecycle::Event, ports::store::Swept};
use sqlx::sqlite::SqliteRow;

use crate::{
    fault::Fault,
    row,
    transaction::Transaction,
    transition::{self, Step},
};

/// A row that cannot be read is looked at again after this time.
const PUSH_MS: u64 = 60_000;

/// Queues scheduled jobs that are due, the longest due first.
pub(crate) async fn due(tx: &mut Transaction<'_>, at: Millis, limit: u32) -> Result<Swept, Fault> {
    let due =
        sqlx::query(sql!("job/due")).bind(at.0).bind(limit).fetch_all(&mut *tx.connection).await?;
    let mut jobs = 0;
    for id in ids(&due)? {
        let part = tx.save().await?;
        let result = queue(tx, id, at).await;
        tx.end(part, result.is_ok()).await?;
        match result {
            Ok(()) => jobs += 1,
            Err(fault) => push(tx, id, at, &fault).await?,
        }
    }
    let next: Option<i64> =
        sqlx::query_scalar(sql!("job/next_due")).fetch_one(&mut *tx.connection).await?;
    Ok(Swept { jobs, next_at: next.map(Millis) })
}

async fn queue(tx: &mut Transaction<'_>, id: JobId, at: Millis) -> Result<(), Fault> {
    if let Some(held) = super::job(tx, id).await? {
        transition::make(tx, held, Step::new(Event::Due, at)).await?;
    }
    Ok(())
}

/// One row that cannot be read must not keep the others from being queued.
async fn push(tx: &mut Transaction<'_>, id: JobId, at: Millis, fault: &Fault) -> Result<(), Fault> {
    tracing::error!(job = %id, error = ?fault, "job {id} is due and cannot be queued; trying again in a minute");
    sqlx::query(sql!("job/push_due"))
        .bind(id.to_string())
        .bind(at.plus_ms(PUSH_MS).0)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// The ids of rows.
pub(super) fn ids(rows: &[SqliteRow]) -> Result<Vec<JobId>, sqlx::Error> {
    rows.iter().map(|found| row::text(found, "id")).collect()
}
