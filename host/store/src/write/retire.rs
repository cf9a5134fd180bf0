//! Deleting what ended long ago.

use roughneck_jobs::{clock::Millis, state::State};

use crate::{fault::Fault, transaction::Transaction};

/// Deletes jobs that ended in `state` at `until` or earlier, and returns how many.
pub(crate) async fn jobs(
    tx: &mut Transaction<'_>,
    state: State,
    until: Millis,
    limit: u32,
) -> Result<u32, Fault> {
    let flows: Vec<Option<String>> = sqlx::query_scalar(sql!("job/retire"))
        .bind(state.as_str())
        .bind(until.0)
        .bind(limit)
        .fetch_all(tx.connection().await?)
        .await?;
    let deleted = u32::try_from(flows.len()).unwrap_or(u32::MAX);
    super::forget_flows(tx, flows).await?;
    Ok(deleted)
}
