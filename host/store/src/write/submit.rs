//! Accepting jobs, any number with one statement for each table.

use std::collections::BTreeSet;

use roughneck_jobs::{
    class::Class, clock::Millis, delivery::Target, id::JobId, job::NewJob, ports::store::Submitted,
    priority::Priority, state::State,
};
use serde::Serialize;
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    fault::{Fault, rows},
    row, script,
    transaction::Transaction,
    transition::to_json,
};

/// Accepts `jobs` and returns what became of each. A known id or idempotency key stands as it is, also
/// if it is twice among them: the first one counts.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> Result<Vec<Submitted>, Fault> {
    let mut created = insert(tx, jobs).await?;
    let mut submitted = Vec::with_capacity(jobs.len());
    for &job in jobs {
        // By id and key: a known key may have kept the first job of an id out, and let the second in.
        if created.remove(&(job.id, job.idempotency_key.clone())) {
            submitted.push(Submitted::Created(job.id));
            ring(tx, job);
        } else {
            submitted.push(Submitted::Existing(standing(tx, job).await?));
        }
    }
    Ok(submitted)
}

fn ring(tx: &mut Transaction<'_>, job: &NewJob) {
    tx.bells.job(job.id);
    if is_due_later(job) {
        tx.bells.due();
    } else {
        tx.bells.class(&job.class);
    }
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

/// Inserts the jobs whose id and key are new, with the rows that every job has from its first moment:
/// its input and its first event. Returns id and key of each.
async fn insert(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> Result<BTreeSet<(JobId, Option<String>)>, Fault> {
    let inputs: Vec<_> = jobs.iter().map(|job| Input::of(job)).collect();
    let query = sqlx::query(script!["job/insert", "job_input/insert", "job_event/insert_first"])
        .bind(to_json(&jobs.iter().map(|job| Row::of(job)).collect::<Vec<_>>())?)
        .bind(to_json(&inputs)?);
    let ran = script::run(tx.connection, query).await?;
    let count = u64::try_from(ran.rows.len()).unwrap_or(u64::MAX);
    rows("job_input", ran.touched(1), count)?;
    rows("job_event", ran.touched(2), count)?;
    let read = |row: &SqliteRow| Ok((row::text(row, "id")?, row.try_get("idempotency_key")?));
    Ok(ran.rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

/// An input as `job_input/insert` reads it.
#[derive(Serialize)]
struct Input<'a> {
    id: JobId,
    idempotency_key: Option<&'a str>,
    input: &'a str,
}

impl<'a> Input<'a> {
    fn of(job: &'a NewJob) -> Self {
        let idempotency_key = job.idempotency_key.as_deref();
        Self { id: job.id, idempotency_key, input: &job.input }
    }
}

/// A job as `job/insert` and `job_event/insert_first` read it.
#[derive(Serialize)]
struct Row<'a> {
    id: JobId,
    kind: &'a str,
    class: &'a Class,
    priority: Priority,
    state: State,
    rank_ms: Millis,
    enqueued_at_ms: Millis,
    run_at_ms: Millis,
    attempts_max: u32,
    callback: Option<&'a Target>,
    trace_parent: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    schedule: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(job: &'a NewJob) -> Self {
        Self {
            id: job.id,
            kind: &job.kind,
            class: &job.class,
            priority: job.priority,
            state: first_state(job),
            rank_ms: job.rank,
            enqueued_at_ms: job.enqueued_at,
            run_at_ms: job.run_at,
            attempts_max: job.attempts_max,
            callback: job.callback.as_ref(),
            trace_parent: job.trace_parent.as_deref(),
            idempotency_key: job.idempotency_key.as_deref(),
            schedule: job.fire.as_ref().map(|fire| &*fire.schedule),
        }
    }
}
