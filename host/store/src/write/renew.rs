//! Heartbeats.

use std::collections::HashSet;

use roughneck_jobs::{clock::Millis, run::Run};
use serde_json::{Value, json};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{fault::Fault, row, transaction::Transaction};

/// Prolongs leases with one statement. Returns the runs that no longer hold their job.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    runs: Vec<Run>,
    lease_until: Millis,
) -> Result<Vec<Run>, Fault> {
    let wanted: Value =
        runs.iter().map(|run| json!({ "job": run.job, "token": run.token })).collect();
    let renewed = sqlx::query(sql!("job/renew"))
        .bind(wanted.to_string())
        .bind(lease_until.0)
        .fetch_all(tx.connection().await?)
        .await?;
    let renewed: HashSet<Run> = renewed.iter().map(read).collect::<Result<_, _>>()?;
    Ok(runs.into_iter().filter(|run| !renewed.contains(run)).collect())
}

fn read(row: &SqliteRow) -> Result<Run, sqlx::Error> {
    Ok(Run { job: row::text(row, "id")?, token: row.try_get("token")? })
}
