//! The end of a run.

use roughneck_jobs::{
    delivery::{self, Notice},
    failure::Failure,
    id::JobId,
    lifecycle::Event,
    ports::store::{Finish, StoreError, Verdict},
    run::Run,
    state::State,
};
use serde_json::Value;

use crate::{
    fault::Fault,
    transaction::Transaction,
    transition::{self, Message, Step},
};

/// Ends a run as its verdict says.
pub(crate) async fn run(
    tx: &mut Transaction<'_>,
    run: Run,
    finish: Finish,
) -> Result<State, Fault> {
    let held = super::held_by(tx, run).await?.ok_or(StoreError::Fenced)?;
    let Finish { verdict, at, plugin, usage, log, notices } = finish;
    let (event, output, failure) = read(verdict);
    if event == Event::Succeeded {
        // Before the callback: they happened before the end.
        for notice in &notices {
            notify(tx, run.job, at, notice).await?;
        }
    }
    let reason = failure.as_ref().map(|failure| failure.message.clone());
    let step = Step { event, at, reason, output, failure, plugin, usage, log };
    Ok(transition::make(tx, held, step).await?.state)
}

fn read(verdict: Verdict) -> (Event, Option<String>, Option<Failure>) {
    match verdict {
        Verdict::Done { output } => (Event::Succeeded, Some(output), None),
        Verdict::Retry { delay_ms, failure } => {
            (Event::FailedForNow { delay_ms }, None, Some(failure))
        }
        Verdict::Fail { failure } => (Event::FailedForGood, None, Some(failure)),
        Verdict::Postpone { delay_ms, failure } => {
            (Event::Postponed { delay_ms }, None, Some(failure))
        }
        Verdict::Cancel { failure } => (Event::Cancelled, None, Some(failure)),
    }
}

async fn notify(
    tx: &mut Transaction<'_>,
    job: JobId,
    at: roughneck_jobs::clock::Millis,
    notice: &Notice,
) -> Result<(), Fault> {
    // The sandbox has checked that it is JSON; if it is not, the receiver gets the text.
    let data = serde_json::from_str(&notice.data).unwrap_or_else(|_| Value::from(&*notice.data));
    let body = delivery::body(&notice.event, at, &data);
    let message = Message { target: &notice.target, event: &notice.event, body: &body };
    transition::post(tx, job, at, &message).await
}
