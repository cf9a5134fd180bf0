//! Mending blocked jobs whose count of what they wait for is wrong: a hand or a bug was in the store.

use roughneck_jobs::{
    clock::Millis,
    failure::Failure,
    flow::need::{self, Standing},
    id::JobId,
    lifecycle::Event,
    ports::store::StoreError,
    state::State,
    step::Step,
};
use sqlx::Row as _;

use super::retry_flow::set_waits;
use crate::{
    dependents,
    fault::{Fault, one_row},
    lineage,
    row::{self, Held},
    transaction::Transaction,
    transition,
};

/// What is wrong with one of them.
enum Ailment {
    /// It waits for this many.
    Miscounted(u32),
    /// It waits for this many children.
    MiscountedChildren(u32),
    /// It waits for nothing.
    Free,
    /// It needs a job that has no result.
    Broken(Failure),
}

/// Mends up to `limit` of them, each on its own, and returns them. Counts are set first, because what
/// frees or fails one job counts the others down.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    at: Millis,
    limit: u32,
) -> Result<Vec<JobId>, Fault> {
    let stuck: Vec<String> = sqlx::query_scalar(sql!("job/list_stuck"))
        .bind(limit)
        .fetch_all(tx.connection().await?)
        .await?;
    let mut mended = Vec::with_capacity(stuck.len());
    for stage in [Stage::Count, Stage::Move] {
        for id in &stuck {
            let part = tx.save().await?;
            let result = one(tx, id, stage, at).await;
            tx.end(part, result.is_ok()).await?;
            match result {
                Ok(job) => mended.extend(job),
                Err(fault) => {
                    tracing::error!(job = %id, error = ?fault, "job {id} is blocked for no reason and cannot be mended");
                }
            }
        }
    }
    Ok(mended)
}

#[derive(Clone, Copy)]
enum Stage {
    Count,
    Move,
}

/// Mends a job whose ailment belongs to this stage.
async fn one(
    tx: &mut Transaction<'_>,
    id: &str,
    stage: Stage,
    at: Millis,
) -> Result<Option<JobId>, Fault> {
    let id: JobId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let held = super::job(tx, id).await?.ok_or(StoreError::NoSuchJob(id))?;
    // Mended by now, or taken along by another one.
    if held.job.state != State::Blocked {
        return Ok(None);
    }
    match (ailment(tx, &held).await?, stage) {
        (Ailment::Miscounted(waits), Stage::Count) => set_waits(tx, &[(id, waits)]).await?,
        (Ailment::MiscountedChildren(children), Stage::Count) => {
            let set = sqlx::query(sql!("job/set_awaits"))
                .bind(id.to_string())
                .bind(children)
                .execute(tx.connection().await?)
                .await?;
            one_row("job", set.rows_affected())?;
        }
        (Ailment::Free, Stage::Move) => {
            let step = dependents::unblocked(&held, at);
            transition::make(tx, held, step).await?;
        }
        (Ailment::Broken(failure), Stage::Move) => {
            transition::make(tx, held, Step::failed(Event::DependencyFailed, at, failure)).await?;
        }
        (Ailment::Miscounted(_) | Ailment::MiscountedChildren(_), Stage::Move)
        | (Ailment::Free | Ailment::Broken(_), Stage::Count) => return Ok(None),
    }
    Ok(Some(id))
}

async fn ailment(tx: &mut Transaction<'_>, held: &Held) -> Result<Ailment, Fault> {
    let id = held.job.id;
    if held.awaits > 0 {
        let children = lineage::awaited(tx, id).await?;
        return Ok(if children == 0 {
            Ailment::Free
        } else {
            Ailment::MiscountedChildren(children)
        });
    }
    let rows = sqlx::query(sql!("need/list_of_job"))
        .bind(id.to_string())
        .fetch_all(tx.connection().await?)
        .await?;
    let mut waits = 0;
    for row in &rows {
        let state: Option<State> = row::text_or_none(row, "state")?;
        match need::standing(state, row::text(row, "on_failure")?) {
            Standing::Open => waits += 1,
            Standing::Met => {}
            Standing::Broken => {
                let name: String = row.try_get("name")?;
                return Ok(Ailment::Broken(need::broken(&name, state, None)));
            }
        }
    }
    Ok(if waits == 0 { Ailment::Free } else { Ailment::Miscounted(waits) })
}
