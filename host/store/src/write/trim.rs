//! What is kept of a job that runs again and again: one that cannot run now is postponed for days, and retention looks
//! only at what is over.

use crate::{fault::Fault, moved::Moved, transaction::Transaction, transition::to_json};

/// Runs of a job, the latest; as many as are shown.
const RUNS_KEPT: i64 = 100;

/// Its events, the latest. A run has four as a rule: queued, loading, working and its end.
const EVENTS_KEPT: i64 = 4 * RUNS_KEPT;

/// Forgets the oldest runs and events of jobs of which a run has ended.
pub(super) async fn history(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    let long = moved.iter().filter(|one| one.runs > RUNS_KEPT);
    let ended: Vec<_> = long.map(|one| one.job.id).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let ended = to_json(&ended)?;
    for (trim, kept) in [(sql!("attempt/trim"), RUNS_KEPT), (sql!("job_event/trim"), EVENTS_KEPT)] {
        sqlx::query(trim).bind(&ended).bind(kept).execute(tx.connection().await?).await?;
    }
    Ok(())
}
