//! Running again what has failed or was cancelled.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    clock::Millis,
    id::{FlowId, JobId},
    job::DeadLetters,
    lifecycle::{self, Event},
    ports::store::{Retried, StoreError},
    step::Step,
};

use super::retry_flow::{self, Made};
use crate::{fault::Fault, transaction::Transaction, transition};

/// Rows of flows that one command reads, so that it does not hold up the writer.
const ROWS_READ_MAX: usize = 20_000;

/// Queues a job again, if it has failed or was cancelled.
pub(crate) async fn job(tx: &mut Transaction<'_>, id: JobId, at: Millis) -> Result<Retried, Fault> {
    let held = super::job(tx, id).await?.ok_or(StoreError::NoSuchJob(id))?;
    if lifecycle::advance(&held.progress(), Event::Retried).is_err() {
        return Ok(Retried::Unchanged(held.job.state));
    }
    if held.job.class.is_attended() {
        return Ok(Retried::NobodyWaits);
    }
    if let Some(member) = &held.job.member {
        return of_flow(tx, member.flow, id, at).await;
    }
    let step = Step::because(Event::Retried, at, "retried on request");
    transition::make(tx, held, step).await?;
    Ok(Retried::Queued)
}

async fn of_flow(
    tx: &mut Transaction<'_>,
    flow: FlowId,
    id: JobId,
    at: Millis,
) -> Result<Retried, Fault> {
    let Made { retry, .. } = retry_flow::jobs(tx, flow, &BTreeSet::from([id]), at).await?;
    if let Some((_, needed)) = retry.held_back.first() {
        return Ok(Retried::HeldBack(*needed));
    }
    let waits = retry.back.iter().any(|(job, waits)| *job == id && *waits > 0);
    Ok(if waits { Retried::Blocked } else { Retried::Queued })
}

/// Queues dead letters again, the oldest first, and returns how many. One that cannot come back, because
/// its row cannot be read or because it needs another one, stays what it is, and its place is for the
/// next one.
pub(crate) async fn many(
    tx: &mut Transaction<'_>,
    which: &DeadLetters,
    limit: u32,
    at: Millis,
) -> Result<u32, Fault> {
    let (mut retried, mut rows_read) = (0, 0);
    let mut after = String::new();
    while retried < limit && rows_read < ROWS_READ_MAX {
        let dead: Vec<(String, Option<String>)> = sqlx::query_as(sql!("job/dead"))
            .bind(&which.kind)
            .bind(&which.code)
            .bind(limit - retried)
            .bind(after)
            .bind(which.failed_before.map(|before| before.0))
            .fetch_all(tx.connection().await?)
            .await?;
        let Some((last, _)) = dead.last() else { break };
        after = last.clone();
        for batch in batches(dead) {
            if rows_read < ROWS_READ_MAX {
                let done = one(tx, &batch, at).await?;
                retried += done.jobs;
                rows_read += done.rows_read;
            }
        }
    }
    Ok(retried)
}

/// Dead letters that come back together: those of one flow, or one of no flow.
struct Batch {
    flow: Option<String>,
    ids: Vec<String>,
}

fn batches(dead: Vec<(String, Option<String>)>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (id, flow) in dead {
        let place = flow.as_ref().and_then(|flow| places.get(flow));
        match place.and_then(|place| batches.get_mut(*place)) {
            Some(batch) => batch.ids.push(id),
            None => {
                if let Some(flow) = &flow {
                    places.insert(flow.clone(), batches.len());
                }
                batches.push(Batch { flow, ids: vec![id] });
            }
        }
    }
    batches
}

/// What became of a batch.
#[derive(Default)]
struct Done {
    jobs: u32,
    rows_read: usize,
}

async fn one(tx: &mut Transaction<'_>, batch: &Batch, at: Millis) -> Result<Done, Fault> {
    let part = tx.save().await?;
    let result = attempt(tx, batch, at).await;
    tx.end(part, result.is_ok()).await?;
    Ok(result.unwrap_or_else(|fault| {
        for id in &batch.ids {
            tracing::error!(job = %id, error = ?fault, "job {id} cannot be retried and stays a dead letter");
        }
        Done::default()
    }))
}

async fn attempt(tx: &mut Transaction<'_>, batch: &Batch, at: Millis) -> Result<Done, Fault> {
    let unreadable = |error| sqlx::Error::Decode(Box::new(error));
    let ids = batch.ids.iter().map(|id| id.parse().map_err(unreadable));
    let ids: BTreeSet<JobId> = ids.collect::<Result<_, _>>()?;
    let Some(flow) = &batch.flow else {
        let mut jobs = 0;
        for id in &ids {
            jobs += u32::from(job(tx, *id, at).await? == Retried::Queued);
        }
        return Ok(Done { jobs, rows_read: 0 });
    };
    let flow = flow.parse().map_err(unreadable)?;
    let Made { retry, rows_read } = retry_flow::jobs(tx, flow, &ids, at).await?;
    let back = retry.back.iter().filter(|(job, _)| ids.contains(job)).count();
    Ok(Done { jobs: u32::try_from(back).unwrap_or(u32::MAX), rows_read })
}
