//! The ends of runs, any number with one statement for each table.

use std::collections::HashMap;

use roughneck_jobs::{
    child, delivery,
    id::JobId,
    lifecycle::Event,
    ports::store::{Finish, StoreError, Verdict},
    run::Run,
    state::State,
    step::Step,
};

use super::trim;
use crate::{
    fault::Fault,
    lineage,
    moved::Moved,
    row::Held,
    transaction::Transaction,
    transition::{self, Message},
};

/// Ends a run as its verdict says.
pub(crate) async fn one(
    tx: &mut Transaction<'_>,
    run: Run,
    finish: &Finish,
) -> Result<State, Fault> {
    // One run, one answer.
    let ended = all(tx, &[(run, finish)]).await?.pop().unwrap_or(Err(StoreError::Fenced));
    Ok(ended?)
}

/// Ends runs of different jobs as their verdicts say. A run that no longer holds its job is told so
/// and keeps nobody else from ending.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    ends: &[(Run, &Finish)],
) -> Result<Vec<Result<State, StoreError>>, Fault> {
    let runs: Vec<Run> = ends.iter().map(|end| end.0).collect();
    let held = super::held_by_all(tx, &runs).await?;
    let mut held: HashMap<JobId, Held> = held.into_iter().map(|held| (held.job.id, held)).collect();
    let mut moved = Vec::with_capacity(ends.len());
    let mut answers = Vec::with_capacity(ends.len());
    for (run, finish) in ends {
        let Some(held) = held.remove(&run.job) else {
            answers.push(Err(StoreError::Fenced));
            continue;
        };
        let step = match &finish.verdict {
            Verdict::Await { children } => wait(tx, *run, children, finish).await?,
            Verdict::Done { .. }
            | Verdict::Retry { .. }
            | Verdict::Fail { .. }
            | Verdict::Postpone { .. }
            | Verdict::Cancel { .. } => Step::end(finish),
        };
        if step.event == Event::Succeeded {
            // Before the callback: they happened before the end.
            notify(tx, run.job, finish).await?;
        }
        let one = Moved::by(step, held)?;
        answers.push(Ok(one.job.state));
        moved.push(one);
    }
    if !moved.is_empty() {
        transition::write(tx, &moved).await?;
        trim::history(tx, &moved).await?;
    }
    Ok(answers)
}

/// The end of a run that waits for children, of which some may have ended since the plugin asked.
async fn wait(
    tx: &mut Transaction<'_>,
    run: Run,
    children: &[JobId],
    finish: &Finish,
) -> Result<Step, Fault> {
    let open = lineage::wait_for(tx, run.job, children).await?;
    let event = Event::AwaitsChildren { open };
    Ok(Step { event, reason: Some(child::waits_for(open)), ..Step::end(finish) })
}

/// Puts into the outbox what a run that succeeded wanted to be told.
pub(super) async fn notify(
    tx: &mut Transaction<'_>,
    job: JobId,
    finish: &Finish,
) -> Result<(), Fault> {
    for notice in &finish.notices {
        let body = delivery::notice_body(notice, finish.at);
        let message = Message { target: &notice.target, event: &notice.event, body: &body };
        transition::post(tx, job, finish.at, &message).await?;
    }
    Ok(())
}
