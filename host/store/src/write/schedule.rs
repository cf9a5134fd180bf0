//! Making, changing, pausing and deleting schedules.

use roughneck_jobs::{
    caller::Caller,
    clock::Millis,
    ports::schedules::Created,
    priority::Priority,
    schedule::{Kept, Pause, Spec},
};
use sqlx::Row as _;

use crate::{
    fault::{Fault, one_row},
    kept::kept,
    transaction::Transaction,
};

/// Remembers a schedule of a manifest, and returns what is kept of it.
pub(crate) async fn remember(
    tx: &mut Transaction<'_>,
    id: &str,
    timing: &str,
    now: Millis,
) -> Result<Kept, Fault> {
    let revision = next_revision(tx).await?;
    let written = sqlx::query(sql!("schedule/remember"))
        .bind(id)
        .bind(now.0)
        .bind(timing)
        .bind(revision)
        .execute(tx.connection().await?)
        .await?;
    one_row("schedule", written.rows_affected())?;
    let row = sqlx::query(sql!("schedule/read")).bind(id).fetch_one(tx.connection().await?).await?;
    Ok(kept(&row)?)
}

/// Makes a schedule, unless there are `max`.
pub(crate) async fn create(
    tx: &mut Transaction<'_>,
    spec: &Spec,
    pause: Option<&Pause>,
    at: Millis,
    max: u32,
) -> Result<Created, Fault> {
    let there = sqlx::query(sql!("schedule_spec/count"))
        .bind(&spec.id)
        .fetch_one(tx.connection().await?)
        .await?;
    if there.try_get("is_known")? {
        return Ok(Created::Exists);
    }
    if there.try_get::<u32, _>("made")? >= max {
        return Ok(Created::Full);
    }
    let revision = next_revision(tx).await?;
    let created = sqlx::query(sql!("schedule/create"))
        .bind(&spec.id)
        .bind(revision)
        .bind(at.0)
        .bind(spec.timing())
        .bind(pause.map(|pause| pause.since.0))
        .bind(pause.map(|pause| &pause.reason))
        .execute(tx.connection().await?)
        .await?;
    one_row("schedule", created.rows_affected())?;
    let written = write_spec(tx, sql!("schedule_spec/insert"), spec, at).await?;
    one_row("schedule_spec", written)?;
    tx.bells.schedule();
    Ok(Created::New)
}

/// Changes a schedule that was made. False if there is none.
pub(crate) async fn change(
    tx: &mut Transaction<'_>,
    spec: &Spec,
    at: Millis,
) -> Result<bool, Fault> {
    if write_spec(tx, sql!("schedule_spec/change"), spec, at).await? == 0 {
        return Ok(false);
    }
    let revision = next_revision(tx).await?;
    let changed = sqlx::query(sql!("schedule/change"))
        .bind(&spec.id)
        .bind(revision)
        .bind(spec.timing())
        .bind(at.0)
        .execute(tx.connection().await?)
        .await?;
    one_row("schedule", changed.rows_affected())?;
    tx.bells.schedule();
    Ok(true)
}

/// Deletes a schedule that was made. False if there is none.
pub(crate) async fn delete(tx: &mut Transaction<'_>, id: &str) -> Result<bool, Fault> {
    let deleted =
        sqlx::query(sql!("schedule/delete")).bind(id).execute(tx.connection().await?).await?;
    Ok(rung(tx, deleted.rows_affected()))
}

/// Pauses a schedule. False if nothing is kept of it.
pub(crate) async fn pause(
    tx: &mut Transaction<'_>,
    id: &str,
    pause: &Pause,
) -> Result<bool, Fault> {
    let revision = next_revision(tx).await?;
    let paused = sqlx::query(sql!("schedule/pause"))
        .bind(id)
        .bind(revision)
        .bind(pause.since.0)
        .bind(&pause.reason)
        .execute(tx.connection().await?)
        .await?;
    Ok(rung(tx, paused.rows_affected()))
}

/// Resumes a schedule. False if nothing is kept of it.
pub(crate) async fn resume(tx: &mut Transaction<'_>, id: &str, at: Millis) -> Result<bool, Fault> {
    let revision = next_revision(tx).await?;
    let resumed = sqlx::query(sql!("schedule/resume"))
        .bind(id)
        .bind(revision)
        .bind(at.0)
        .execute(tx.connection().await?)
        .await?;
    Ok(rung(tx, resumed.rows_affected()))
}

/// Rings if a schedule was touched.
fn rung(tx: &mut Transaction<'_>, rows: u64) -> bool {
    if rows > 0 {
        tx.bells.schedule();
    }
    rows > 0
}

async fn next_revision(tx: &mut Transaction<'_>) -> Result<i64, Fault> {
    let next = sqlx::query_scalar(sql!("schedule_revision/next"));
    Ok(next.fetch_one(tx.connection().await?).await?)
}

/// Writes what a schedule is, and returns the rows that were touched.
async fn write_spec(
    tx: &mut Transaction<'_>,
    statement: &'static str,
    spec: &Spec,
    at: Millis,
) -> Result<u64, Fault> {
    let written = sqlx::query(statement)
        .bind(&spec.id)
        .bind(&spec.kind)
        .bind(&spec.expr)
        .bind(&spec.zone)
        .bind(spec.priority.map(Priority::level))
        .bind(spec.caller.as_ref().map(Caller::as_str))
        .bind(spec.missed.as_str())
        .bind(spec.missed_max)
        .bind(spec.overlap.as_str())
        .bind(at.0)
        .bind(&spec.input)
        .execute(tx.connection().await?)
        .await?;
    Ok(written.rows_affected())
}
