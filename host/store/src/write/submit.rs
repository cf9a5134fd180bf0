//! Accepting jobs, any number with one statement for each table.

use roughneck_jobs::{
    caller::Caller,
    class::Class,
    clock::Millis,
    delivery::Target,
    flow::{Need, NewMember, OnFailure},
    id::{FlowId, JobId},
    job::NewJob,
    ports::store::Submitted,
    state::State,
};
use serde::Serialize;
use tracing::warn;

use crate::{
    fault::{Fault, rows},
    row,
    transaction::Transaction,
    transition::to_json,
};

/// Accepts `jobs` if all of them are new. Otherwise it says false and must be undone.
pub(crate) async fn all(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<bool, Fault> {
    let count = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
    free_unique_keys(tx, jobs).await?;
    if insert(tx, jobs).await? != count {
        return Ok(false);
    }
    insert_edges(tx, jobs).await?;
    tx.open_jobs += i64::try_from(jobs.len()).unwrap_or(i64::MAX);
    for job in jobs {
        ring(tx, job);
        guard(tx, job).await?;
    }
    Ok(true)
}

/// Counts a job that was accepted, and pauses its kind if there are too many of it.
async fn guard(tx: &mut Transaction<'_>, job: &NewJob) -> Result<(), Fault> {
    let Some(pause) = tx.memory.count(job) else { return Ok(()) };
    warn!(kind = job.kind, "the kind {} is paused: {}", job.kind, pause.reason);
    super::pause::begin(tx, &pause).await
}

fn ring(tx: &mut Transaction<'_>, job: &NewJob) {
    tx.bells.job(job.id);
    if job.deadline.is_some() {
        // It may be the next one that somebody has to look after.
        tx.bells.due();
    }
    match first_state(job) {
        State::Queued => tx.bells.class(&job.class),
        State::Scheduled => tx.bells.due(),
        State::Blocked
        | State::Loading
        | State::Working
        | State::Done
        | State::Failed
        | State::Cancelled => {}
    }
}

/// Accepts one job. One with a known id, idempotency key or unique key is the job that stands.
pub(crate) async fn one(tx: &mut Transaction<'_>, job: &NewJob) -> Result<Submitted, Fault> {
    if all(tx, &[job]).await? {
        return Ok(Submitted::Created(job.id));
    }
    let of_key = standing(tx, sql!("job/id_of_key"), job.idempotency_key.as_deref()).await?;
    if let Some(id) = of_key {
        return Ok(Submitted::Existing(id));
    }
    if super::job(tx, job.id).await?.is_some() {
        return Ok(Submitted::Existing(job.id));
    }
    let unique = job.unique.as_ref().map(|unique| &*unique.key);
    let of_unique_key = standing(tx, sql!("job/id_of_unique_key"), unique).await?;
    Ok(Submitted::Existing(of_unique_key.unwrap_or(job.id)))
}

/// The job that has the unique key of `job`, if it is another one.
pub(super) async fn unique_holder(
    tx: &mut Transaction<'_>,
    job: &NewJob,
) -> Result<Option<JobId>, Fault> {
    let unique = job.unique.as_ref().map(|unique| &*unique.key);
    let holder = standing(tx, sql!("job/id_of_unique_key"), unique).await?;
    Ok(holder.filter(|holder| *holder != job.id))
}

/// The job that has this key.
async fn standing(
    tx: &mut Transaction<'_>,
    statement: &'static str,
    key: Option<&str>,
) -> Result<Option<JobId>, Fault> {
    let Some(key) = key else { return Ok(None) };
    let known = sqlx::query(statement).bind(key).fetch_optional(tx.connection().await?).await?;
    Ok(known.as_ref().map(|known| row::text(known, "id")).transpose()?)
}

/// Gives up the unique keys that are wanted and whose time is over.
async fn free_unique_keys(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<(), Fault> {
    let wanted = jobs.iter().filter_map(|job| Some((&*job.unique.as_ref()?.key, job.enqueued_at)));
    let (keys, instants): (Vec<&str>, Vec<Millis>) = wanted.unzip();
    let Some(at) = instants.into_iter().max() else { return Ok(()) };
    sqlx::query(sql!("job/free_unique_keys"))
        .bind(to_json(&keys)?)
        .bind(at.0)
        .execute(tx.connection().await?)
        .await?;
    Ok(())
}

/// What a job needs, it waits for: that is in the same submission, so none of it is over.
fn needs(job: &NewJob) -> &[Need] {
    job.member.as_ref().map_or(&[], |member| &member.needs)
}

fn first_state(job: &NewJob) -> State {
    if !needs(job).is_empty() {
        State::Blocked
    } else if job.run_at > job.enqueued_at {
        State::Scheduled
    } else {
        State::Queued
    }
}

/// Inserts the jobs whose id and key are new, with the rows that every job has from its first moment:
/// its input and its first event. Returns how many.
async fn insert(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<u64, Fault> {
    let inputs: Vec<_> = jobs.iter().map(|job| Input::of(job)).collect();
    let (rows_of_job, inputs) =
        (to_json(&jobs.iter().map(|job| Row::of(job)).collect::<Vec<_>>())?, to_json(&inputs)?);
    let script = script!["job/insert", "job_input/insert", "job_event/insert_first"];
    let ran = tx.run(script, |query| query.bind(rows_of_job).bind(inputs)).await?;
    let created = ran.touched(0);
    rows("job_input", ran.touched(1), created)?;
    rows("job_event", ran.touched(2), created)?;
    Ok(created)
}

/// An edge as `need/insert` reads it.
#[derive(Serialize)]
struct Edge {
    job: JobId,
    needs: JobId,
    on_failure: OnFailure,
}

/// Inserts what the jobs need, if they need anything.
async fn insert_edges(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> Result<(), Fault> {
    let of_job = |job: &NewJob| {
        let edge = |need: &Need| Edge { job: job.id, needs: need.job, on_failure: need.on_failure };
        needs(job).iter().map(edge).collect::<Vec<_>>()
    };
    let edges: Vec<Edge> = jobs.iter().flat_map(|job| of_job(job)).collect();
    if edges.is_empty() {
        return Ok(());
    }
    let written = sqlx::query(sql!("need/insert"))
        .bind(to_json(&edges)?)
        .execute(tx.connection().await?)
        .await?;
    rows("need", written.rows_affected(), u64::try_from(edges.len()).unwrap_or(u64::MAX))
}

/// An input as `job_input/insert` reads it.
#[derive(Serialize)]
pub(super) struct Input<'a> {
    id: JobId,
    idempotency_key: Option<&'a str>,
    input: &'a str,
}

impl<'a> Input<'a> {
    pub(super) fn of(job: &'a NewJob) -> Self {
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
    priority: u8,
    state: State,
    rank_ms: Millis,
    enqueued_at_ms: Millis,
    run_at_ms: Millis,
    deadline_ms: Option<Millis>,
    attempts_max: u32,
    callback: Option<&'a Target>,
    trace_parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a Caller>,
    idempotency_key: Option<&'a str>,
    schedule: Option<&'a str>,
    fire_ms: Option<Millis>,
    unique_key: Option<&'a str>,
    unique_until_ms: Option<Millis>,
    concurrency_key: Option<&'a str>,
    concurrency_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(flatten)]
    member: Option<Member<'a>>,
}

/// What only a job of a flow has.
#[derive(Serialize)]
struct Member<'a> {
    flow: FlowId,
    name: &'a str,
    place: u32,
    waits: usize,
}

impl<'a> Member<'a> {
    fn of(member: &'a NewMember) -> Self {
        let NewMember { flow, name, place, needs } = member;
        Self { flow: *flow, name, place: *place, waits: needs.len() }
    }
}

impl<'a> Row<'a> {
    fn of(job: &'a NewJob) -> Self {
        Self {
            id: job.id,
            kind: &job.kind,
            class: &job.class,
            priority: job.priority.level(),
            state: first_state(job),
            rank_ms: job.rank,
            enqueued_at_ms: job.enqueued_at,
            run_at_ms: job.run_at,
            deadline_ms: job.deadline,
            attempts_max: job.attempts_max,
            callback: job.callback.as_ref(),
            trace_parent: job.trace_parent.as_deref(),
            caller: job.caller.as_ref(),
            idempotency_key: job.idempotency_key.as_deref(),
            schedule: job.fire.as_ref().map(|fire| &*fire.schedule),
            fire_ms: job.fire.as_ref().and_then(|fire| fire.at),
            unique_key: job.unique.as_ref().map(|unique| &*unique.key),
            unique_until_ms: job.unique.as_ref().and_then(|unique| unique.until),
            concurrency_key: job.concurrency.as_ref().map(|concurrency| &*concurrency.key),
            concurrency_limit: job.concurrency.as_ref().map(|concurrency| concurrency.limit),
            model: job.model.as_deref(),
            member: job.member.as_ref().map(Member::of),
        }
    }
}
