//! Jobs that were over before they were written down, any number with one statement for each table.
//!
//! They are never queued and take no slot: what is written is how they ended, with the history that led there.

use roughneck_jobs::{
    class::Class,
    clock::Millis,
    delivery::Target,
    failure::Failure,
    id::JobId,
    job::{Attempt, LogLine, NewJob},
    past::{Fate, Life, Past},
    state::State,
    usage::Usage,
};
use serde::Serialize;

use super::{finish, submit};
use crate::{
    fault::{Fault, rows},
    transaction::Transaction,
    transition::{self, spent, to_json},
};

/// Keeps `pasts` if all of them are new, and returns how they ended. Otherwise there is no answer, and what was written
/// must be undone.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    pasts: &[&Past],
) -> Result<Option<Vec<State>>, Fault> {
    let lives = pasts.iter().map(|past| past.life()).collect::<Result<Vec<_>, _>>()?;
    if !insert(tx, pasts, &lives).await? {
        return Ok(None);
    }
    for (past, life) in pasts.iter().zip(&lives) {
        submit::guard(tx, &past.job).await?;
        if let (Fate::Ran { finish, .. }, State::Done) = (&past.fate, life.job.state) {
            // Before the callback: they happened before the end.
            finish::notify(tx, life.job.id, finish).await?;
        }
        if let Some(at) = life.job.finished_at {
            transition::call_back(tx, &life.job, at).await?;
        }
        tx.bells.job(life.job.id);
    }
    Ok(Some(lives.iter().map(|life| life.job.state).collect()))
}

/// Keeps one job. None if its id is known.
pub(crate) async fn one(tx: &mut Transaction<'_>, past: &Past) -> Result<Option<State>, Fault> {
    // First, because there is nothing to undo then.
    if super::job(tx, past.job.id).await?.is_some() {
        return Ok(None);
    }
    let mut states = all(tx, &[past]).await?.unwrap_or_default();
    rows("job", u64::from(!states.is_empty()), 1)?;
    Ok(states.pop())
}

/// Inserts the jobs with all that belongs to them. False if one of them is known.
async fn insert(tx: &mut Transaction<'_>, pasts: &[&Past], lives: &[Life]) -> Result<bool, Fault> {
    let pairs = || pasts.iter().zip(lives);
    let jobs: Vec<_> = pairs().map(|(past, life)| Row::of(&past.job, life)).collect();
    let inputs: Vec<_> = pasts.iter().map(|past| submit::Input::of(&past.job)).collect();
    let events: Vec<_> = lives.iter().flat_map(events).collect();
    let runs: Vec<_> = lives.iter().filter_map(Run::of).collect();
    let json = (to_json(&jobs)?, to_json(&inputs)?, to_json(&events)?, to_json(&runs)?);
    let script = script!["job/keep", "job_input/insert", "job_event/keep", "attempt/keep"];
    let ran =
        tx.run(script, |query| query.bind(json.0).bind(json.1).bind(json.2).bind(json.3)).await?;
    if ran.touched(0) != count(&jobs) {
        return Ok(false);
    }
    rows("job_input", ran.touched(1), count(&inputs))?;
    rows("job_event", ran.touched(2), count(&events))?;
    rows("attempt", ran.touched(3), count(&runs))?;
    Ok(true)
}

fn count<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

/// A job as `job/keep` reads it.
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
    started_at_ms: Option<Millis>,
    finished_at_ms: Option<Millis>,
    attempt: u32,
    attempts_max: u32,
    callback: Option<&'a Target>,
    trace_parent: Option<&'a str>,
    model: Option<&'a str>,
    reason: Option<&'a str>,
    output: Option<&'a str>,
    failure: Option<&'a Failure>,
    usage: Option<&'a Usage>,
    plugin: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(new: &'a NewJob, Life { job, .. }: &'a Life) -> Self {
        Self {
            id: job.id,
            kind: &job.kind,
            class: &job.class,
            priority: job.priority.level(),
            state: job.state,
            rank_ms: job.rank,
            enqueued_at_ms: job.enqueued_at,
            run_at_ms: job.run_at,
            started_at_ms: job.started_at,
            finished_at_ms: job.finished_at,
            attempt: job.attempt,
            attempts_max: job.attempts_max,
            callback: job.callback.as_ref(),
            trace_parent: job.trace_parent.as_deref(),
            model: new.model.as_deref(),
            reason: job.reason.as_deref(),
            output: job.output.as_deref(),
            failure: job.failure.as_ref(),
            usage: spent(&job.usage),
            plugin: job.plugin.as_deref(),
        }
    }
}

/// An event as `job_event/keep` reads it.
#[derive(Serialize)]
struct Event<'a> {
    job: JobId,
    seq: i64,
    at_ms: Millis,
    state: State,
    attempt: u32,
    reason: Option<&'a str>,
}

fn events(Life { job, events, .. }: &Life) -> impl Iterator<Item = Event<'_>> {
    events.iter().map(|event| Event {
        job: job.id,
        seq: event.seq,
        at_ms: event.at,
        state: event.state,
        attempt: event.attempt,
        reason: event.reason.as_deref(),
    })
}

/// A run as `attempt/keep` reads it.
#[derive(Serialize)]
struct Run<'a> {
    job: JobId,
    attempt: u32,
    started_at_ms: Millis,
    finished_at_ms: Option<Millis>,
    outcome: Option<&'a str>,
    failure: Option<&'a Failure>,
    usage: Option<&'a Usage>,
    log: Option<&'a [LogLine]>,
}

impl<'a> Run<'a> {
    fn of(Life { job, attempt, .. }: &'a Life) -> Option<Self> {
        let Attempt { attempt, started_at, finished_at, outcome, failure, usage, log, .. } =
            attempt.as_ref()?;
        Some(Self {
            job: job.id,
            attempt: *attempt,
            started_at_ms: *started_at,
            finished_at_ms: *finished_at,
            outcome: outcome.as_deref(),
            failure: failure.as_ref(),
            usage: spent(usage),
            log: (!log.is_empty()).then_some(log),
        })
    }
}
