//! What a run leaves that was stopped from outside.

use roughneck_jobs::{job::LogLine, ports::store::StoreError, run::Run, usage::Usage};

use crate::{
    fault::{Fault, one_row},
    row,
    transaction::Transaction,
    transition::to_json,
};

/// Keeps the cost and the log of a run that has ended, once: what its attempt has stands.
pub(crate) async fn run(
    tx: &mut Transaction<'_>,
    run: Run,
    usage: &Usage,
    log: &[LogLine],
) -> Result<(), Fault> {
    let id = run.job.to_string();
    let closed = sqlx::query(sql!("attempt/read_closed"))
        .bind(&id)
        .bind(run.token)
        .fetch_optional(tx.connection().await?)
        .await?;
    let Some(attempt) = closed.as_ref().map(row::attempt).transpose()? else { return Ok(()) };
    if attempt.usage != Usage::default() || !attempt.log.is_empty() {
        return Ok(());
    }
    let left = sqlx::query(sql!("attempt/leave"))
        .bind(&id)
        .bind(run.token)
        .bind(to_json(usage)?)
        .bind(to_json(log)?)
        .execute(tx.connection().await?)
        .await?;
    one_row("attempt", left.rows_affected())?;
    let mut job = super::job(tx, run.job).await?.ok_or(StoreError::NoSuchJob(run.job))?.job;
    job.usage.add(usage);
    let summed = sqlx::query(sql!("job/set_usage"))
        .bind(&id)
        .bind(to_json(&job.usage)?)
        .execute(tx.connection().await?)
        .await?;
    one_row("job", summed.rows_affected())
}
