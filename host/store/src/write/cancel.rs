//! Cancelling.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    lifecycle::Event,
    ports::store::{Cancelled, StoreError},
};

use crate::{fault::Fault, step::Step, transaction::Transaction, transition};

/// Cancels a job in any state. A running one loses its slot and its fence at once.
pub(crate) async fn job(
    tx: &mut Transaction<'_>,
    id: JobId,
    at: Millis,
) -> Result<Cancelled, Fault> {
    let held = super::job(tx, id).await?.ok_or(StoreError::NoSuchJob(id))?;
    let state = held.job.state;
    if state.is_terminal() {
        return Ok(Cancelled::Ended(state));
    }
    let run = held.run();
    transition::make(tx, held, Step::because(Event::Cancelled, at, "cancelled on request")).await?;
    Ok(if state.is_running() { Cancelled::Running(run) } else { Cancelled::Waiting })
}
