//! How attempts at deliveries ended.

use roughneck_jobs::{
    clock::Millis,
    delivery::{DeliveryOutcome, DeliveryState},
    id::DeliveryId,
};

use crate::{fault::Fault, transaction::Transaction};

/// Records an attempt. One that ends after the delivery did changes nothing: the first word stands.
pub(crate) async fn delivery(
    tx: &mut Transaction<'_>,
    id: DeliveryId,
    outcome: DeliveryOutcome,
    at: Millis,
) -> Result<(), Fault> {
    let (state, next_at, error) = match outcome {
        DeliveryOutcome::Delivered => (DeliveryState::Delivered, None, None),
        DeliveryOutcome::Retry { delay_ms, error } => {
            (DeliveryState::Pending, Some(at.plus_ms(delay_ms)), Some(error))
        }
        DeliveryOutcome::GiveUp { error } => (DeliveryState::Dead, None, Some(error)),
    };
    let finished_at = (state != DeliveryState::Pending).then_some(at);
    let recorded = sqlx::query(sql!("delivery/record"))
        .bind(id.to_string())
        .bind(state.as_str())
        .bind(next_at.map(|at| at.0))
        .bind(finished_at.map(|at| at.0))
        .bind(error)
        .execute(tx.connection().await?)
        .await?;
    if recorded.rows_affected() == 0 {
        return Ok(());
    }
    if finished_at.is_some() {
        // The next one of this job and target has its turn.
        sqlx::query(sql!("delivery/next_turn"))
            .bind(id.to_string())
            .execute(tx.connection().await?)
            .await?;
    }
    tx.bells.delivery();
    Ok(())
}
