//! The one place that moves a job: job row, event, slot, attempt and callback, in one transaction.

use roughneck_jobs::{
    clock::Millis,
    delivery,
    failure::{Failure, code},
    id::{DeliveryId, JobId},
    job::{Job, LogLine},
    lifecycle::{self, Event, Move},
    ports::store::StoreError,
    state::State,
    usage::Usage,
};

use crate::{
    fault::{Fault, one_row},
    row::Held,
    transaction::Transaction,
};

/// What happens to a job, and what it leaves behind.
pub(crate) struct Step {
    pub(crate) event: Event,
    pub(crate) at: Millis,
    /// Why, for people.
    pub(crate) reason: Option<String>,
    /// The result, with [`Event::Succeeded`].
    pub(crate) output: Option<String>,
    /// What went wrong; it replaces the failure of an earlier attempt.
    pub(crate) failure: Option<Failure>,
    /// Digest of the plugin that ran.
    pub(crate) plugin: Option<String>,
    /// What the run cost.
    pub(crate) usage: Usage,
    pub(crate) log: Vec<LogLine>,
}

impl Step {
    /// A step without a word.
    pub(crate) fn new(event: Event, at: Millis) -> Self {
        Self {
            event,
            at,
            reason: None,
            output: None,
            failure: None,
            plugin: None,
            usage: Usage::default(),
            log: Vec::new(),
        }
    }

    /// A step with a reason for people.
    pub(crate) fn because(event: Event, at: Millis, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..Self::new(event, at) }
    }

    /// The job after the move. The rank is not among what changes.
    fn applied_to(&mut self, mut job: Job, next: Move) -> Job {
        if self.event == Event::Lost && next.state == State::Failed {
            let poison = poison(next.losses);
            self.reason = Some(poison.message.clone());
            self.failure = Some(poison);
        }
        if next.state == State::Scheduled || self.event == Event::Replayed {
            job.run_at = self.at.plus_ms(next.delay_ms);
        }
        job.state = next.state;
        job.attempt = next.attempt;
        job.losses = next.losses;
        job.finished_at = next.state.is_terminal().then_some(self.at);
        job.reason.clone_from(&self.reason);
        job.output = self.output.take();
        if next.state == State::Done {
            job.failure = None;
        } else if self.failure.is_some() {
            job.failure.clone_from(&self.failure);
        }
        job.usage.add(&self.usage);
        if self.plugin.is_some() {
            job.plugin = self.plugin.take();
        }
        job
    }
}

fn poison(losses: u32) -> Failure {
    Failure::fatal(
        code::POISON,
        format!("the host died or lost its lease {losses} times while it ran this job"),
    )
}

/// How an attempt ended that ended with `event`.
fn outcome(event: Event) -> Option<&'static str> {
    match event {
        Event::Succeeded => Some("done"),
        Event::FailedForNow { .. } | Event::FailedForGood => Some("failed"),
        Event::Postponed { .. } => Some("postponed"),
        Event::Lost => Some("lost"),
        Event::Released => Some("released"),
        Event::Cancelled => Some("cancelled"),
        Event::Due | Event::Claimed | Event::ModelLoading | Event::ModelReady | Event::Replayed => {
            None
        }
    }
}

/// Moves a job that was read in this transaction, if its state allows it. Returns it as it is then.
/// A claim is not made here: it grows the token.
pub(crate) async fn make(
    tx: &mut Transaction<'_>,
    held: Held,
    mut step: Step,
) -> Result<Job, Fault> {
    let next = lifecycle::advance(&held.progress(), step.event)?;
    let from = held.job.state;
    // The attempt the move belongs to: a loss gives its number back. A replay belongs to none.
    let replayed = step.event == Event::Replayed;
    let attempt = if replayed { 0 } else { held.job.attempt.max(next.attempt) };
    let token = held.token;
    let job = step.applied_to(held.job, next);
    write(tx, &job, (token, from)).await?;
    append_event(tx, &job, step.at, attempt).await?;
    if from.is_running() && !job.state.is_running() {
        free_slot(tx, &job, token).await?;
        close_attempt(tx, job.id, token, &step).await?;
    }
    if job.state.is_terminal() {
        call_back(tx, &job, step.at).await?;
    }
    ring(tx, &job);
    Ok(job)
}

async fn write(tx: &mut Transaction<'_>, job: &Job, from: (i64, State)) -> Result<(), Fault> {
    let (token, state) = from;
    let written = sqlx::query(sql!("job/move"))
        .bind(job.id.to_string())
        .bind(token)
        .bind(state.as_str())
        .bind(job.state.as_str())
        .bind(job.attempt)
        .bind(job.losses)
        .bind(job.run_at.0)
        .bind(job.finished_at.map(|at| at.0))
        .bind(&job.reason)
        .bind(&job.output)
        .bind(job.failure.as_ref().map(to_json).transpose()?)
        .bind(to_json(&job.usage)?)
        .bind(&job.plugin)
        .execute(&mut *tx.connection)
        .await?;
    // The row was read in this transaction, so this is the second lock on the same door.
    if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced.into()) }
}

/// Writes the event of a move. Called by [`make`] and by the claim.
pub(crate) async fn append_event(
    tx: &mut Transaction<'_>,
    job: &Job,
    at: Millis,
    attempt: u32,
) -> Result<(), Fault> {
    let written = sqlx::query(sql!("job_event/append"))
        .bind(job.id.to_string())
        .bind(at.0)
        .bind(job.state.as_str())
        .bind(attempt)
        .bind(&job.reason)
        .execute(&mut *tx.connection)
        .await?;
    one_row("job_event", written.rows_affected())
}

async fn free_slot(tx: &mut Transaction<'_>, job: &Job, token: i64) -> Result<(), Fault> {
    let id = job.id.to_string();
    let dropped = sqlx::query(sql!("slot/drop_surplus"))
        .bind(&id)
        .bind(token)
        .execute(&mut *tx.connection)
        .await?;
    let freed = sqlx::query(sql!("slot/give_back"))
        .bind(&id)
        .bind(token)
        .execute(&mut *tx.connection)
        .await?;
    tx.bells.class(&job.class);
    one_row("slot", dropped.rows_affected() + freed.rows_affected())
}

async fn close_attempt(
    tx: &mut Transaction<'_>,
    job: JobId,
    token: i64,
    step: &Step,
) -> Result<(), Fault> {
    let closed = sqlx::query(sql!("attempt/close"))
        .bind(job.to_string())
        .bind(token)
        .bind(step.at.0)
        .bind(outcome(step.event))
        .bind(step.failure.as_ref().map(to_json).transpose()?)
        .bind(to_json(&step.usage)?)
        .bind(to_json(&step.log)?)
        .execute(&mut *tx.connection)
        .await?;
    one_row("attempt", closed.rows_affected())
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
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()).into())
}
