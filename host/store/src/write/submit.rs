//! Accepting jobs, any number with one statement for each table.

use std::collections::BTreeSet;

use roughneck_jobs::{id::JobId, job::NewJob, ports::store::Submitted, state::State};
use serde_json::{Value, json};

use crate::{
    fault::{Fault, one_row},
    row,
    transaction::Transaction,
};

/// Accepts `jobs` and returns the ids of those that are new. A known id stands as it is, also if it
/// is twice among them: the first one counts.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> Result<BTreeSet<JobId>, Fault> {
    let created = insert(tx, jobs).await?;
    let mut first = created.clone();
    let new: Vec<&NewJob> = jobs.iter().copied().filter(|job| first.remove(&job.id)).collect();
    complete(tx, &new).await?;
    for job in new {
        tx.bells.job(job.id);
        if is_due_later(job) {
            tx.bells.due();
        } else {
            tx.bells.class(&job.class);
        }
    }
    Ok(created)
}

/// Accepts one job.
pub(crate) async fn one(tx: &mut Transaction<'_>, job: &NewJob) -> Result<Submitted, Fault> {
    let mut created = all(tx, &[job]).await?;
    Ok(answer(&mut created, job.id))
}

/// What the next submitter of `id` is told: it is new for one of them.
pub(crate) fn answer(created: &mut BTreeSet<JobId>, id: JobId) -> Submitted {
    if created.remove(&id) { Submitted::Created(id) } else { Submitted::Existing(id) }
}

fn is_due_later(job: &NewJob) -> bool {
    job.run_at > job.enqueued_at
}

fn first_state(job: &NewJob) -> State {
    if is_due_later(job) { State::Scheduled } else { State::Queued }
}

async fn insert(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<BTreeSet<JobId>, Fault> {
    let rows: Value = jobs.iter().map(|job| columns(job)).collect();
    let created = sqlx::query(sql!("job/insert"))
        .bind(rows.to_string())
        .fetch_all(&mut *tx.connection)
        .await?;
    let ids = created.iter().map(|created| row::text(created, "id"));
    Ok(ids.collect::<Result<_, sqlx::Error>>()?)
}

/// The rows that every job has from its first moment: its input and its first event.
async fn complete(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<(), Fault> {
    if jobs.is_empty() {
        return Ok(());
    }
    let expected = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
    let inputs: Value =
        jobs.iter().map(|job| json!({ "id": job.id, "input": job.input })).collect();
    let written = sqlx::query(sql!("job_input/insert"))
        .bind(inputs.to_string())
        .execute(&mut *tx.connection)
        .await?;
    rows("job_input", written.rows_affected(), expected)?;
    let events: Value = jobs.iter().map(|job| columns(job)).collect();
    let written = sqlx::query(sql!("job_event/insert_first"))
        .bind(events.to_string())
        .execute(&mut *tx.connection)
        .await?;
    rows("job_event", written.rows_affected(), expected)
}

fn rows(table: &'static str, written: u64, expected: u64) -> Result<(), Fault> {
    if written == expected { Ok(()) } else { one_row(table, written) }
}

/// A job as a row, without its input.
fn columns(job: &NewJob) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "class": job.class,
        "priority": job.priority,
        "state": first_state(job),
        "rank_ms": job.rank,
        "enqueued_at_ms": job.enqueued_at,
        "run_at_ms": job.run_at,
        "attempts_max": job.attempts_max,
        "callback": job.callback,
        "trace_parent": job.trace_parent,
        "schedule": job.fire.as_ref().map(|fire| &fire.schedule),
    })
}
