//! Jobs whose deadline has passed.

use roughneck_jobs::{clock::Millis, lifecycle::Event, ports::store::Overdue, step::Step};

use super::sweep::{self, Sweep};
use crate::{fault::Fault, moved::Moved, row::Held, transaction::Transaction, transition};

/// Fails them, the longest overdue first. A running one loses its slot and its fence at once.
pub(crate) async fn fail(
    tx: &mut Transaction<'_>,
    at: Millis,
    limit: u32,
) -> Result<Overdue, Fault> {
    let overdue = sqlx::query_scalar(sql!("job/overdue"))
        .bind(at.0)
        .bind(limit)
        .fetch_all(tx.connection().await?)
        .await?;
    let push = sql!("job/push_deadline");
    let sweep = Sweep { event: Event::DeadlinePassed, at, reason: None, push };
    let failed = sweep::jobs(tx, overdue, &sweep).await?;
    let next: Option<i64> =
        sqlx::query_scalar(sql!("job/next_deadline")).fetch_one(tx.connection().await?).await?;
    let jobs = u32::try_from(failed.len()).unwrap_or(u32::MAX);
    let running = failed.into_iter().filter(|one| one.from.is_running());
    Ok(Overdue { jobs, runs: running.map(|one| one.run).collect(), next_at: next.map(Millis) })
}

/// Fails those of the jobs that were read in this transaction. Returns the others, and how many have failed.
pub(super) async fn sort_out(
    tx: &mut Transaction<'_>,
    held: Vec<Held>,
    at: Millis,
) -> Result<(Vec<Held>, u32), Fault> {
    let (overdue, others): (Vec<Held>, Vec<Held>) =
        held.into_iter().partition(|one| one.job.is_overdue(at));
    let late = u32::try_from(overdue.len()).unwrap_or(u32::MAX);
    if !overdue.is_empty() {
        let fail = |one: Held| Moved::by(Step::new(Event::DeadlinePassed, at), one);
        let failed: Vec<Moved> = overdue.into_iter().map(fail).collect::<Result<_, _>>()?;
        transition::write(tx, &failed).await?;
    }
    Ok((others, late))
}
