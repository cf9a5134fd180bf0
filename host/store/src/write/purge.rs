//! Deleting dead letters.

use roughneck_jobs::job::DeadLetters;

use crate::{fault::Fault, transaction::Transaction};

/// Deletes dead letters, the oldest first, and returns how many.
pub(crate) async fn dead(
    tx: &mut Transaction<'_>,
    which: &DeadLetters,
    limit: u32,
) -> Result<u32, Fault> {
    let flows: Vec<Option<String>> = sqlx::query_scalar(sql!("job/purge"))
        .bind(&which.kind)
        .bind(&which.code)
        .bind(limit)
        .bind(which.failed_before.map(|before| before.0))
        .fetch_all(tx.connection().await?)
        .await?;
    let deleted = u32::try_from(flows.len()).unwrap_or(u32::MAX);
    super::forget_flows(tx, flows).await?;
    Ok(deleted)
}
