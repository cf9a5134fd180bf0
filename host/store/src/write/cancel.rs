//! Cancelling.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    lifecycle::Event,
    ports::store::{Cancelled, StoreError},
    step::Step,
};

use crate::{fault::Fault, transaction::Transaction, transition};

/// Cancels a job in any state. A running one loses its slot and its fence at once.
pub(crate) async fn job(
    tx: &mut Transaction<'_>,
    id: JobId,
    at: Millis,
) -> Result<Cancelled, Fault> {
    because(tx, id, "cancelled on request", at).await
}

/// Does so for this reason.
pub(crate) async fn because(
    tx: &mut Transaction<'_>,
    id: JobId,
    reason: &str,
    at: Millis,
) -> Result<Cancelled, Fault> {
    let held = super::job(tx, id).await?.ok_or(StoreError::NoSuchJob(id))?;
    let state = held.job.state;
    if state.is_terminal() {
        return Ok(Cancelled::Ended(state));
    }
    let run = held.run();
    transition::make(tx, held, Step::because(Event::Cancelled, at, reason)).await?;
    Ok(if state.is_running() { Cancelled::Running(run) } else { Cancelled::Waiting })
}
