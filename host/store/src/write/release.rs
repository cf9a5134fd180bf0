//! Giving runs back when the host stops.

use roughneck_jobs::{
    clock::Millis, lifecycle::Event, ports::store::StoreError, run::Run, step::Step,
};

use crate::{fault::Fault, transaction::Transaction, transition};

/// Queues the job of a run again, as if it had not been claimed. Only the token keeps growing.
pub(crate) async fn run(tx: &mut Transaction<'_>, run: Run, at: Millis) -> Result<(), Fault> {
    let held = super::held_by(tx, run).await?.ok_or(StoreError::Fenced)?;
    let step = Step::because(Event::Released, at, "its host stopped; it runs again");
    transition::make(tx, held, step).await?;
    Ok(())
}
