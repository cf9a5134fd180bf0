//! Runs whose host died or went silent.

use roughneck_jobs::{clock::Millis, lifecycle::Event, ports::store::Reaped};

use super::sweep::{self, Sweep};
use crate::{fault::Fault, transaction::Transaction};

/// Takes back every run there is: the process that made them is dead. Returns how many.
pub(crate) async fn recover(tx: &mut Transaction<'_>, at: Millis) -> Result<u32, Fault> {
    let running = sqlx::query_scalar(sql!("job/running")).fetch_all(tx.connection().await?).await?;
    let runs = sweep::jobs(tx, running, &loss(at, "its host died while it ran")).await?;
    Ok(u32::try_from(runs.len()).unwrap_or(u32::MAX))
}

/// Takes back runs whose lease has expired, the longest expired first.
pub(crate) async fn reap(
    tx: &mut Transaction<'_>,
    at: Millis,
    limit: u32,
) -> Result<Reaped, Fault> {
    let expired = sqlx::query_scalar(sql!("job/expired"))
        .bind(at.0)
        .bind(limit)
        .fetch_all(tx.connection().await?)
        .await?;
    let lost = sweep::jobs(tx, expired, &loss(at, "its lease expired while it ran")).await?;
    let next: Option<i64> =
        sqlx::query_scalar(sql!("job/next_lease")).fetch_one(tx.connection().await?).await?;
    let runs = lost.into_iter().map(|one| one.run).collect();
    Ok(Reaped { runs, next_at: next.map(Millis) })
}

fn loss(at: Millis, reason: &'static str) -> Sweep {
    Sweep { event: Event::Lost, at, reason: Some(reason), push: sql!("job/push_lease") }
}
