//! Jobs whose time has come.

use roughneck_jobs::{clock::Millis, lifecycle::Event, ports::store::Promoted};

use super::sweep::{self, Sweep};
use crate::{fault::Fault, transaction::Transaction};

/// Queues scheduled jobs that are due, the longest due first.
pub(crate) async fn due(
    tx: &mut Transaction<'_>,
    at: Millis,
    limit: u32,
) -> Result<Promoted, Fault> {
    let due = sqlx::query_scalar(sql!("job/due"))
        .bind(at.0)
        .bind(limit)
        .fetch_all(tx.connection().await?)
        .await?;
    let sweep = Sweep { event: Event::Due, at, reason: None, push: sql!("job/push_due") };
    let moved = sweep::jobs(tx, due, &sweep).await?;
    let next: Option<i64> =
        sqlx::query_scalar(sql!("job/next_due")).fetch_one(tx.connection().await?).await?;
    let jobs = u32::try_from(moved.len()).unwrap_or(u32::MAX);
    Ok(Promoted { jobs, next_at: next.map(Millis) })
}
