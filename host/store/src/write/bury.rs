//! Deliveries whose row cannot be read.

use roughneck_jobs::clock::Millis;

use crate::{command::Unreadable, fault::Fault, transaction::Transaction};

/// Gives deliveries up that cannot be sent because they cannot be read, so that others have their
/// turn. One that has ended meanwhile stays as it ended.
pub(crate) async fn deliveries(
    tx: &mut Transaction<'_>,
    unreadable: &[Unreadable],
    at: Millis,
) -> Result<(), Fault> {
    for Unreadable { seq, why } in unreadable {
        let buried = sqlx::query(sql!("delivery/bury"))
            .bind(seq)
            .bind(at.0)
            .bind(why)
            .execute(tx.connection().await?)
            .await?;
        if buried.rows_affected() == 0 {
            continue;
        }
        tracing::error!(
            delivery.seq = seq,
            error = why,
            "a delivery cannot be read, so it is given up"
        );
        sqlx::query(sql!("delivery/next_turns")).bind(seq).execute(tx.connection().await?).await?;
        tx.bells.delivery();
    }
    Ok(())
}
