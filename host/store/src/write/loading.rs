//! A run that waits for its model.

use roughneck_jobs::{
    clock::Millis,
    lifecycle::{self, Event},
    ports::store::StoreError,
    run::Run,
    step::Step,
};

use crate::{fault::Fault, transaction::Transaction, transition};

/// Notes whether the run waits for its model. What is already so is not written again.
pub(crate) async fn set(
    tx: &mut Transaction<'_>,
    run: Run,
    loading: bool,
    at: Millis,
) -> Result<(), Fault> {
    let held = super::held_by(tx, run).await?.ok_or(StoreError::Fenced)?;
    let event = if loading { Event::ModelLoading } else { Event::ModelReady };
    if lifecycle::advance(&held.progress(), event)?.state != held.job.state {
        transition::make(tx, held, Step::new(event, at)).await?;
    }
    Ok(())
}

/// Notes that the call of the run gave way to an urgent one.
pub(crate) async fn gave_way(tx: &mut Transaction<'_>, run: Run, at: Millis) -> Result<(), Fault> {
    let held = super::held_by(tx, run).await?.ok_or(StoreError::Fenced)?;
    transition::make(tx, held, Step::gave_way(at)).await?;
    Ok(())
}
