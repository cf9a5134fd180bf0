//! The intentions, one file each. They run inside the transaction of a batch, each in a part of its
//! own: an error undoes what that intention wrote, and nothing else.

pub(crate) mod bury;
pub(crate) mod cancel;
pub(crate) mod cancel_flow;
mod candidates;
pub(crate) mod claim;
pub(crate) mod finish;
mod gates;
pub(crate) mod keep;
pub(crate) mod kv;
pub(crate) mod leave;
pub(crate) mod loading;
pub(crate) mod lost;
pub(crate) mod mend_waits;
pub(crate) mod overdue;
pub(crate) mod park;
pub(crate) mod pause;
pub(crate) mod promote;
pub(crate) mod purge;
pub(crate) mod record;
pub(crate) mod release;
pub(crate) mod renew;
pub(crate) mod retire;
pub(crate) mod retry;
pub(crate) mod retry_flow;
pub(crate) mod schedule;
pub(crate) mod set_aside;
pub(crate) mod settle;
pub(crate) mod slots;
pub(crate) mod spending;
pub(crate) mod submit;
pub(crate) mod submit_child;
pub(crate) mod submit_flow;
mod sweep;
mod trim;
pub(crate) mod withdraw;

use std::collections::BTreeSet;

use roughneck_jobs::{
    id::{FlowId, JobId},
    run::Run,
};
use serde_json::{Value, json};

use crate::{fault::Fault, row::Held, transaction::Transaction};

/// The job of a run that still holds it, without its input; none if the run is stale.
async fn held_by(tx: &mut Transaction<'_>, run: Run) -> Result<Option<Held>, Fault> {
    Ok(held_by_all(tx, &[run]).await?.pop())
}

/// The jobs of those of the runs that still hold theirs, without their inputs, in no order.
async fn held_by_all(tx: &mut Transaction<'_>, runs: &[Run]) -> Result<Vec<Held>, Fault> {
    let runs: Value =
        runs.iter().map(|run| json!({ "job": run.job, "token": run.token })).collect();
    let runs = runs.to_string();
    let ran = tx.run(script!["job/read_runs"], |query| query.bind(runs)).await?;
    Ok(ran.rows.iter().map(Held::read).collect::<Result<_, _>>()?)
}

/// Whether there is such a flow.
async fn is_flow(tx: &mut Transaction<'_>, id: FlowId) -> Result<bool, Fault> {
    let exists = sqlx::query_scalar(sql!("flow/exists"))
        .bind(id.to_string())
        .fetch_one(tx.connection().await?)
        .await?;
    Ok(exists)
}

/// Deletes those of these flows, which jobs had that were deleted, that have no job any more.
async fn forget_flows(tx: &mut Transaction<'_>, flows: Vec<Option<String>>) -> Result<(), Fault> {
    let flows: BTreeSet<String> = flows.into_iter().flatten().collect();
    if !flows.is_empty() {
        let flows: Value = flows.into_iter().collect();
        sqlx::query(sql!("flow/forget"))
            .bind(flows.to_string())
            .execute(tx.connection().await?)
            .await?;
    }
    Ok(())
}

/// A job in any state, without its input.
async fn job(tx: &mut Transaction<'_>, id: JobId) -> Result<Option<Held>, Fault> {
    let row = sqlx::query(sql!("job/read_to_move"))
        .bind(id.to_string())
        .fetch_optional(tx.connection().await?)
        .await?;
    Ok(row.as_ref().map(Held::read).transpose()?)
}
