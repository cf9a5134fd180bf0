//! Accepting jobs, any number with one statement for each table.

use std::collections::BTreeSet;

use roughneck_jobs::{id::JobId, job::NewJob, ports::store::Submitted, state::State};
use serde_json::{Value, json};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    fault::{Fault, rows},
    row,
    transaction::Transaction,
};

/// Accepts `jobs` and returns what became of each. A known id or idempotency key stands as it is, also
/// if it is twice among them: the first one counts.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> Result<Vec<Submitted>, Fault> {
    let mut created = insert(tx, jobs).await?;
    let mut submitted = Vec::with_capacity(jobs.len());
    let mut new = Vec::with_capacity(jobs.len());
    for &job in jobs {
        // By id and key: a known key may have kept the first job of an id out, and let the second in.
        if created.remove(&(job.id, job.idempotency_key.clone())) {
            submitted.push(Submitted::Created(job.id));
            new.push(job);
        } else {
            submitted.push(Submitted::Existing(standing(tx, job).await?));
        }
    }
    complete(tx, &new).await?;
    for job in new {
        tx.bells.job(job.id);
        if is_due_later(job) {
            tx.bells.due();
        } else {
            tx.bells.class(&job.class);
        }
    }
    Ok(submitted)
}

/// Accepts one job.
pub(crate) async fn one(tx: &mut Transaction<'_>, job: &NewJob) -> Result<Submitted, Fault> {
    let submitted = all(tx, &[job]).await?;
    // One job, one answer; without it, the job stands as it is.
    Ok(submitted.into_iter().next().unwrap_or(Submitted::Existing(job.id)))
}

/// The job that stands in the way of `job`: that of its key or, if the key is new, that of its id.
async fn standing(tx: &mut Transaction<'_>, job: &NewJob) -> Result<JobId, Fault> {
    let Some(key) = &job.idempotency_key else { return Ok(job.id) };
    let known =
        sqlx::query(sql!("job/id_of_key")).bind(key).fetch_optional(&mut *tx.connection).await?;
    Ok(known.as_ref().map(|known| row::text(known, "id")).transpose()?.unwrap_or(job.id))
}

fn is_due_later(job: &NewJob) -> bool {
    job.run_at > job.enqueued_at
}

fn first_state(job: &NewJob) -> State {
    if is_due_later(job) { State::Scheduled } else { State::Queued }
}

/// Inserts the jobs whose id and key are new, and returns these two of each.
async fn insert(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> Result<BTreeSet<(JobId, Option<String>)>, Fault> {
    let rows: Value = jobs.iter().map(|job| columns(job)).collect();
    let created = sqlx::query(sql!("job/insert"))
        .bind(rows.to_string())
        .fetch_all(&mut *tx.connection)
        .await?;
    let read =
        |created: &SqliteRow| Ok((row::text(created, "id")?, created.try_get("idempotency_key")?));
    Ok(created.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
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
        "idempotency_key": job.idempotency_key,
        "schedule": job.fire.as_ref().map(|fire| &fire.schedule),
    })
}
