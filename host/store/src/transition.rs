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
    lifecycle,
    ports::store::StoreError,
    state::State,
    step::Step,
    usage::Usage,
};
use serde::Serialize;

use crate::{
    dependents::{self, Over},
    fault::{Fault, rows},
    lineage,
    moved::Moved,
    row::Held,
    transaction::Transaction,
    write::park,
};

/// Moves a job that was read in this transaction, if its state allows it. Returns it as it is then.
/// A claim is not made here: it grows the token.
pub(crate) async fn make(tx: &mut Transaction<'_>, held: Held, step: Step) -> Result<Job, Fault> {
    let moved = Moved::by(step, held)?;
    write(tx, std::slice::from_ref(&moved)).await?;
    Ok(moved.job)
}

/// Writes moves, all or none, and what they mean for the children of those that were cancelled and for the jobs
/// that wait for those that ended. No job is twice among them.
pub(crate) async fn write(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    write_alone(tx, moved).await?;
    lineage::cancel_below(tx, moved).await?;
    dependents::follow(tx, moved.iter().filter_map(Over::of).collect()).await
}

/// Writes moves that are followed to their dependents by whoever made them.
pub(crate) async fn write_alone(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    if moved.is_empty() {
        return Ok(());
    }
    let ended: Vec<_> = moved.iter().filter_map(Ended::of).collect();
    let script = match (ended.is_empty(), tx.memory.no_slots_surplus) {
        (true, _) => script!["job/move", "job_event/append"],
        (false, true) => {
            script!["job/move", "job_event/append", "attempt/close", "slot/give_back"]
        }
        (false, false) => script![
            "job/move",
            "job_event/append",
            "attempt/close",
            "slot/drop_surplus",
            "slot/give_back"
        ],
    };
    let rows_of_job = to_json(&moved.iter().map(Row::of).collect::<Vec<_>>())?;
    let events = to_json(&moved.iter().map(Event::of).collect::<Vec<_>>())?;
    let closed = to_json(&ended)?;
    let ran = tx.run(script, |query| query.bind(rows_of_job).bind(events).bind(closed)).await?;
    if ran.touched(0) != count(moved) {
        // The rows were read in this transaction, so this is the second lock on the same door.
        return Err(StoreError::Fenced.into());
    }
    rows("job_event", ran.touched(1), count(moved))?;
    rows("attempt", ran.touched(2), count(&ended))?;
    rows("slot", ran.touched(3) + ran.touched(4), count(&ended))?;
    park::make_room(tx, moved).await?;
    for Moved { job, step, outcome, from, .. } in moved {
        tx.open_jobs += i64::from(from.is_terminal()) - i64::from(job.state.is_terminal());
        if job.state.is_terminal() {
            call_back(tx, job, step.at).await?;
        }
        if outcome.is_some() {
            tx.bells.class(&job.class);
        }
        ring(tx, job);
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
    parked: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    awaits: Option<u32>,
}

impl<'a> Row<'a> {
    fn of(Moved { job, token, from, step, .. }: &'a Moved) -> Self {
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
            parked: u8::from(step.event == lifecycle::Event::Parked),
            waits: job.member.as_ref().map(|member| member.waits),
            awaits: awaits(step.event),
        }
    }
}

/// How many children the job waits for from now on.
fn awaits(event: lifecycle::Event) -> Option<u32> {
    match event {
        lifecycle::Event::AwaitsChildren { open } => Some(open),
        lifecycle::Event::DeadlinePassed => None,
        lifecycle::Event::Due
        | lifecycle::Event::Claimed
        | lifecycle::Event::Parked
        | lifecycle::Event::Unparked
        | lifecycle::Event::ModelLoading
        | lifecycle::Event::ModelReady
        | lifecycle::Event::Succeeded
        | lifecycle::Event::FailedForNow { .. }
        | lifecycle::Event::FailedForGood
        | lifecycle::Event::Postponed { .. }
        | lifecycle::Event::Lost
        | lifecycle::Event::Released
        | lifecycle::Event::Cancelled
        | lifecycle::Event::Retried
        | lifecycle::Event::RetriedBlocked
        | lifecycle::Event::Unblocked { .. }
        | lifecycle::Event::DependencyFailed => None,
    }
}

/// An event of a job's life, as `job_event/append` reads it, and the statements on slots.
#[derive(Serialize)]
pub(crate) struct Event<'a> {
    pub(crate) job: JobId,
    pub(crate) at_ms: Millis,
    pub(crate) state: State,
    pub(crate) attempt: u32,
    pub(crate) reason: Option<&'a str>,
    /// The run that ended with it, if one did.
    pub(crate) ended: Option<i64>,
}

impl<'a> Event<'a> {
    fn of(Moved { job, token, attempt, outcome, step, .. }: &'a Moved) -> Self {
        Self {
            job: job.id,
            at_ms: step.at,
            state: job.state,
            attempt: *attempt,
            reason: job.reason.as_deref(),
            ended: outcome.map(|_| *token),
        }
    }
}

/// A run that has ended, as `attempt/close` reads it.
#[derive(Serialize)]
struct Ended<'a> {
    job: JobId,
    run: i64,
    at_ms: Millis,
    outcome: &'static str,
    failure: Option<&'a Failure>,
    usage: Option<&'a Usage>,
    log: Option<&'a [LogLine]>,
}

impl<'a> Ended<'a> {
    fn of(Moved { job, token, outcome, step, .. }: &'a Moved) -> Option<Self> {
        Some(Self {
            job: job.id,
            run: *token,
            at_ms: step.at,
            outcome: (*outcome)?,
            failure: step.failure.as_ref(),
            usage: spent(&step.usage),
            log: (!step.log.is_empty()).then_some(&step.log),
        })
    }
}

/// Tells whoever wanted to be told that the job is over.
pub(crate) async fn call_back(
    tx: &mut Transaction<'_>,
    job: &Job,
    at: Millis,
) -> Result<(), Fault> {
    let Some(target) = &job.callback else { return Ok(()) };
    let event = delivery::end_event(job);
    let body = delivery::end_body(job, at);
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
        .execute(tx.connection().await?)
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
pub(crate) fn spent(usage: &Usage) -> Option<&Usage> {
    (*usage != Usage::default()).then_some(usage)
}

fn count<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
