//! Cancelling a flow.

use roughneck_jobs::{
    clock::Millis,
    id::FlowId,
    lifecycle::Event,
    ports::{flows::CancelledFlow, store::StoreError},
    step::Step,
};

use crate::{fault::Fault, lineage, moved::Moved, row::Held, transaction::Transaction, transition};

/// Cancels all jobs of a flow that are not over, at once: none fails because of another one. Their children are
/// cancelled with them.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    id: FlowId,
    at: Millis,
) -> Result<CancelledFlow, Fault> {
    if !super::is_flow(tx, id).await? {
        return Err(StoreError::NoSuchFlow(id).into());
    }
    let rows = sqlx::query(sql!("job/list_open_of_flow"))
        .bind(id.to_string())
        .fetch_all(tx.connection().await?)
        .await?;
    let mut cancelled = CancelledFlow::default();
    let mut moved = Vec::with_capacity(rows.len());
    for row in &rows {
        let held = Held::read(row)?;
        if held.job.state.is_running() {
            cancelled.runs.push(held.run());
        }
        cancelled.jobs += 1;
        moved
            .push(Moved::by(Step::because(Event::Cancelled, at, "cancelled with its flow"), held)?);
    }
    transition::write_alone(tx, &moved).await?;
    lineage::cancel_below(tx, &moved).await?;
    Ok(cancelled)
}
