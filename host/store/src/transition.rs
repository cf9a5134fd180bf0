//! The one place that moves jobs: job row, event, slot, attempt and callback, in one transaction.
//!
//! Any number of jobs moves with one statement for each table, because each crossing to the thread of
//! the database costs more than most statements.

use roughneck_jobs::{
    clock::Millis,
    delivery,
    failure::Failure,
    id::{DeliveryId, JobId},
    job::{Job, LogLine},
    ports::store::StoreError,
    state::State,
    usage::Usage,
};
use serde::Serialize;

use crate::{
    fault::{Fault, rows},
    row::Held,
    step::{Moved, Step},
    transaction::Transaction,
};

/// Moves a job that was read in this transaction, if its state allows it. Returns it as it is then.
/// A claim is not made here: it grows the token.
pub(crate) async fn make(tx: &mut Transaction<'_>, held: Held, step: Step) -> Result<Job, Fault> {
    let moved = step.decide(held)?;
    write(tx, std::slice::from_ref(&moved)).await?;
    Ok(moved.job)
}

/// Writes moves, all or none. No job is twice among them.
pub(crate) async fn write(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    move_rows(tx, moved).await?;
    append_events(tx, moved.iter().map(Event::of).collect()).await?;
    let ended: Vec<_> = moved.iter().filter_map(Ended::of).collect();
    if !ended.is_empty() {
        free_slots(tx, &ended).await?;
        close_attempts(tx, &ended).await?;
    }
    for Moved { job, step, .. } in moved {
        if job.state.is_terminal() {
            call_back(tx, job, step.at).await?;
        }
        ring(tx, job);
    }
    for one in ended {
        tx.bells.class(&one.job.class);
    }
    Ok(())
}

/// A move as `job/move` reads it.
#[derive(Serialize)]
struct Row<'a> {
    id: JobId,
    token: i64,
    from: State,
    state: State,
    attempt: u32,
    losses: u32,
    run_at_ms: Millis,
    finished_at_ms: Option<Millis>,
    reason: Option<&'a str>,
    output: Option<&'a str>,
    failure: Option<&'a Failure>,
    usage: Option<&'a Usage>,
    plugin: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(Moved { job, token, from, .. }: &'a Moved) -> Self {
        Self {
            id: job.id,
            token: *token,
            from: *from,
            state: job.state,
            attempt: job.attempt,
            losses: job.losses,
            run_at_ms: job.run_at,
            finished_at_ms: job.finished_at,
            reason: job.reason.as_deref(),
            output: job.output.as_deref(),
            failure: job.failure.as_ref(),
            usage: spent(&job.usage),
            plugin: job.plugin.as_deref(),
        }
    }
}

async fn move_rows(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    let written = sqlx::query(sql!("job/move"))
        .bind(to_json(&moved.iter().map(Row::of).collect::<Vec<_>>())?)
        .execute(&mut *tx.connection)
        .await?;
    // The rows were read in this transaction, so this is the second lock on the same door.
    if written.rows_affected() == count(moved) { Ok(()) } else { Err(StoreError::Fenced.into()) }
}

/// An event of a job's life, as `job_event/append` reads it.
#[derive(Serialize)]
pub(crate) struct Event<'a> {
    pub(crate) job: JobId,
    pub(crate) at_ms: Millis,
    pub(crate) state: State,
    pub(crate) attempt: u32,
    pub(crate) reason: Option<&'a str>,
}

impl<'a> Event<'a> {
    fn of(Moved { job, attempt, step, .. }: &'a Moved) -> Self {
        Self {
            job: job.id,
            at_ms: step.at,
            state: job.state,
            attempt: *attempt,
            reason: job.reason.as_deref(),
        }
    }
}

/// Writes the events of moves. Called by [`write`] and by the claim.
pub(crate) async fn append_events(
    tx: &mut Transaction<'_>,
    events: Vec<Event<'_>>,
) -> Result<(), Fault> {
    let written = sqlx::query(sql!("job_event/append"))
        .bind(to_json(&events)?)
        .execute(&mut *tx.connection)
        .await?;
    rows("job_event", written.rows_affected(), count(&events))
}

/// A run that has ended, as the slots and the attempts need it.
#[derive(Serialize)]
struct Ended<'a> {
    #[serde(rename = "id")]
    id: JobId,
    token: i64,
    at_ms: Millis,
    outcome: &'static str,
    failure: Option<&'a Failure>,
    usage: Option<&'a Usage>,
    log: Option<&'a [LogLine]>,
    #[serde(skip)]
    job: &'a Job,
}

impl<'a> Ended<'a> {
    fn of(moved: &'a Moved) -> Option<Self> {
        let Moved { job, token, outcome, step, .. } = moved;
        Some(Self {
            id: job.id,
            token: *token,
            at_ms: step.at,
            outcome: (*outcome)?,
            failure: step.failure.as_ref(),
            usage: spent(&step.usage),
            log: (!step.log.is_empty()).then_some(&step.log),
            job,
        })
    }
}

async fn free_slots(tx: &mut Transaction<'_>, ended: &[Ended<'_>]) -> Result<(), Fault> {
    let runs = to_json(ended)?;
    let dropped =
        sqlx::query(sql!("slot/drop_surplus")).bind(&runs).execute(&mut *tx.connection).await?;
    let freed =
        sqlx::query(sql!("slot/give_back")).bind(&runs).execute(&mut *tx.connection).await?;
    rows("slot", dropped.rows_affected() + freed.rows_affected(), count(ended))
}

async fn close_attempts(tx: &mut Transaction<'_>, ended: &[Ended<'_>]) -> Result<(), Fault> {
    let closed = sqlx::query(sql!("attempt/close"))
        .bind(to_json(ended)?)
        .execute(&mut *tx.connection)
        .await?;
    rows("attempt", closed.rows_affected(), count(ended))
}

async fn call_back(tx: &mut Transaction<'_>, job: &Job, at: Millis) -> Result<(), Fault> {
    let Some(target) = &job.callback else { return Ok(()) };
    let event = delivery::end_event(job);
    let body = delivery::body(&event, at, &delivery::end_data(job));
    let message = Message { target: &target.to_string(), event: &event, body: &body };
    post(tx, job.id, at, &message).await
}

/// What the outbox is to send.
pub(crate) struct Message<'a> {
    pub(crate) target: &'a str,
    pub(crate) event: &'a str,
    pub(crate) body: &'a str,
}

/// Puts a message into the outbox.
pub(crate) async fn post(
    tx: &mut Transaction<'_>,
    job: JobId,
    at: Millis,
    message: &Message<'_>,
) -> Result<(), Fault> {
    sqlx::query(sql!("delivery/insert"))
        .bind(DeliveryId::at(at, tx.entropy).to_string())
        .bind(job.to_string())
        .bind(message.target)
        .bind(message.event)
        .bind(message.body)
        .bind(at.0)
        .execute(&mut *tx.connection)
        .await?;
    tx.bells.delivery();
    Ok(())
}

fn ring(tx: &mut Transaction<'_>, job: &Job) {
    tx.bells.job(job.id);
    match job.state {
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

/// JSON of a value of the domain.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// Most jobs call no model, and what they spent is not written.
fn spent(usage: &Usage) -> Option<&Usage> {
    (*usage != Usage::default()).then_some(usage)
}

fn count<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
