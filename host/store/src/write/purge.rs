//! Deleting dead letters.

use roughneck_jobs::job::DeadLetters;

use crate::{fault::Fault, transaction::Transaction};

/// Deletes dead letters, the oldest first, and returns how many.
pub(crate) async fn dead(
    tx: &mut Transaction<'_>,
    which: &DeadLetters,
    limit: u32,
) -> Result<u32, Fault> {
    let deleted = sqlx::query(sql!("job/purge"))
        .bind(&which.kind)
        .bind(&which.code)
        .bind(limit)
        .execute(&mut *tx.connection)
        .await?;
    Ok(u32::try_from(deleted.rows_affected()).unwrap_or(u32::MAX))
}
