//! Jobs that were over before they were written down, any number with one statement for each table.
//!
//! They are never queued and take no slot: what is written is how they ended, with the history that led there.

use roughneck_jobs::{
    job::{Attempt, NewJob},
    past::{Fate, Life, Past},
    state::State,
    usage::Usage,
};

use super::finish;
use crate::{
    fault::{Fault, rows},
    transaction::Transaction,
    transition::{self, spent, to_json},
    values::{Value, fill},
};

/// No life has more events: it came, it began, it was over.
const EVENTS: usize = 3;

/// Keeps `pasts` and returns how they ended. All of them must be new: one that is known is an error, and what was
/// written must be undone.
pub(crate) async fn all(tx: &mut Transaction<'_>, pasts: &[&Past]) -> Result<Vec<State>, Fault> {
    let lives = pasts.iter().map(|past| past.life()).collect::<Result<Vec<_>, _>>()?;
    insert(tx, pasts, &lives).await?;
    for (past, life) in pasts.iter().zip(&lives) {
        if let (Fate::Ran { finish, .. }, State::Done) = (&past.fate, life.job.state) {
            // Before the callback: they happened before the end.
            finish::notify(tx, life.job.id, finish).await?;
        }
        if let Some(at) = life.job.finished_at {
            transition::call_back(tx, &life.job, at).await?;
        }
        tx.bells.job(life.job.id);
    }
    Ok(lives.iter().map(|life| life.job.state).collect())
}

/// Keeps one job. None if its id is known.
pub(crate) async fn one(tx: &mut Transaction<'_>, past: &Past) -> Result<Option<State>, Fault> {
    // First, because there is nothing to undo then.
    if super::job(tx, past.job.id).await?.is_some() {
        return Ok(None);
    }
    Ok(all(tx, &[past]).await?.pop())
}

/// Inserts the jobs with all that belongs to them.
async fn insert(tx: &mut Transaction<'_>, pasts: &[&Past], lives: &[Life]) -> Result<(), Fault> {
    let (mut jobs, mut inputs, mut events, mut runs) = (vec![], vec![], vec![], vec![]);
    for (Past { job: new, .. }, life) in pasts.iter().zip(lives) {
        let id = Value::from(life.job.id.to_string());
        jobs.push(job(&id, new, life)?);
        inputs.push([id.clone(), (&*new.input).into()]);
        events.extend(told(&id, life));
        runs.extend(run(&id, life)?);
    }
    let written = [jobs.len(), inputs.len(), events.len(), runs.len()];
    let width = jobs.len().next_power_of_two();
    let script = script!["job/keep", "job_input/keep", "job_event/keep", "attempt/keep"];
    let bind = |query| {
        let query = fill(fill(query, jobs, width), inputs, width);
        fill(fill(query, events, EVENTS * width), runs, width)
    };
    let ran = tx.run_wide(script, width, bind).await?;
    let tables = ["job", "job_input", "job_event", "attempt"];
    tables.iter().zip(written).enumerate().try_for_each(|(n, (table, count))| {
        rows(table, ran.touched(n), u64::try_from(count).unwrap_or(u64::MAX))
    })
}

/// A row of `job/keep`.
fn job(id: &Value, new: &NewJob, Life { job, .. }: &Life) -> Result<[Value; 20], Fault> {
    Ok([
        id.clone(),
        (&*job.kind).into(),
        (&*job.class.0).into(),
        u32::from(job.priority.level()).into(),
        job.state.as_str().into(),
        job.rank.into(),
        job.enqueued_at.into(),
        job.run_at.into(),
        job.started_at.into(),
        job.finished_at.into(),
        job.attempt.into(),
        job.attempts_max.into(),
        job.callback.as_ref().map(ToString::to_string).into(),
        job.trace_parent.as_deref().into(),
        new.model.as_deref().into(),
        job.reason.as_deref().into(),
        job.output.as_deref().into(),
        job.failure.as_ref().map(to_json).transpose()?.into(),
        usage(&job.usage)?,
        job.plugin.as_deref().into(),
    ])
}

/// The rows of `job_event/keep`.
fn told(id: &Value, Life { events, .. }: &Life) -> impl Iterator<Item = [Value; 6]> {
    events.iter().map(|event| {
        [
            id.clone(),
            event.seq.into(),
            event.at.into(),
            event.state.as_str().into(),
            event.attempt.into(),
            event.reason.as_deref().into(),
        ]
    })
}

/// A row of `attempt/keep`, if the job ran.
fn run(id: &Value, Life { attempt, .. }: &Life) -> Result<Option<[Value; 8]>, Fault> {
    let Some(attempt) = attempt else { return Ok(None) };
    let Attempt { attempt, started_at, finished_at, outcome, failure, usage: cost, log, .. } =
        attempt;
    Ok(Some([
        id.clone(),
        (*attempt).into(),
        (*started_at).into(),
        (*finished_at).into(),
        outcome.as_deref().into(),
        failure.as_ref().map(to_json).transpose()?.into(),
        usage(cost)?,
        to_json(log)?.into(),
    ]))
}

fn usage(usage: &Usage) -> Result<Value, Fault> {
    Ok(match spent(usage) {
        Some(usage) => to_json(usage)?.into(),
        None => "{}".into(),
    })
}
