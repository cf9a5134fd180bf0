//! Jobs whose row cannot be read when it is their turn.

use roughneck_jobs::{
    clock::Millis,
    failure::{Failure, code},
    id::JobId,
    state::State,
};
use serde_json::json;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::park;
use crate::{
    dependents::{self, Over},
    fault::{Fault, one_row},
    row::text,
    transaction::Transaction,
    transition::to_json,
};

/// Puts the job of `row` among the dead letters, so that the others of its class can run, and fails,
/// releases or wakes those that wait for it.
pub(super) async fn job(
    tx: &mut Transaction<'_>,
    row: &SqliteRow,
    at: Millis,
    error: &sqlx::Error,
) -> Result<(), Fault> {
    self::row(tx, row, at, error).await?;
    match Over::aside(row, at)? {
        Some(over) => dependents::follow(tx, vec![over]).await,
        None => Ok(()),
    }
}

/// Puts it there, and lets another one of its concurrency key go in its place. It tells no callback: what there is
/// to tell is what cannot be read.
pub(crate) async fn row(
    tx: &mut Transaction<'_>,
    row: &SqliteRow,
    at: Millis,
    error: &sqlx::Error,
) -> Result<(), Fault> {
    let id: String = row.try_get("id")?;
    let attempt: i64 = row.try_get("attempt")?;
    let was_queued = row.try_get::<String, _>("state")? == State::Queued.as_str();
    tracing::error!(job = %id, %error, "job {id} cannot be read, so it has failed");
    let reason = format!("the store cannot read this job: {error}");
    let failure = to_json(&Failure::fatal(code::STORE_UNREADABLE, &*reason))?;
    let written = sqlx::query(sql!("job/set_aside"))
        .bind(&id)
        .bind(at.0)
        .bind(&reason)
        .bind(failure)
        .execute(tx.connection().await?)
        .await?;
    one_row("job", written.rows_affected())?;
    tx.open_jobs -= 1;
    let event = json!([{ "job": id, "at_ms": at, "state": State::Failed, "attempt": attempt, "reason": reason }]);
    let written = sqlx::query(sql!("job_event/append"))
        .bind(None::<String>)
        .bind(event.to_string())
        .execute(tx.connection().await?)
        .await?;
    one_row("job_event", written.rows_affected())?;
    if let Ok(id) = text::<JobId>(row, "id") {
        tx.bells.job(id);
    }
    match row.try_get("concurrency_key")? {
        Some(key) if was_queued => park::make_room_of(tx, key, at).await,
        Some(_) | None => Ok(()),
    }
}
