//! Deletes what ended long ago.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{causes::Causes, ports::store::StoreError};
use tracing::{error, info};

use crate::{pause::AFTER_ERROR, shared::Shared};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a fire of a schedule is remembered. It keeps a fire from running twice after the wall
/// clock was set back, and no clock is set back by a month.
const FIRES_KEPT_MS: u64 = 30 * DAY_MS;

/// How often somebody looks for what is old. Ten minutes matter to no limit of days.
const LOOK: Duration = Duration::from_secs(600);

/// Jobs or fires deleted by one command, so that it does not hold up the writer.
const BATCH: u32 = 200;

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        let pause = match clear(&shared).await {
            Ok(()) => LOOK,
            Err(error) => {
                error!(error = %Causes(&error), "what ended long ago could not be deleted; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn clear(shared: &Shared) -> Result<(), StoreError> {
    let parts = &shared.parts;
    let now = parts.clock.now();
    for (state, until) in shared.config.retention.ends(now) {
        let deleted = all(shared, || parts.store.retire(state, until, BATCH)).await?;
        if deleted > 0 {
            let state = state.as_str();
            info!(deleted, state, "{deleted} jobs that were {state} since long ago are deleted");
        }
    }
    let until = now.minus_ms(FIRES_KEPT_MS);
    all(shared, || parts.schedules.forget_fires(until, BATCH)).await?;
    Ok(())
}

/// Deletes batch after batch; between two of them, the writer serves others. Returns the sum.
async fn all<F>(shared: &Shared, batch: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<u32, StoreError>>,
{
    let mut sum = 0;
    loop {
        let deleted = batch().await?;
        sum += u64::from(deleted);
        if deleted < BATCH || shared.stopping.is_cancelled() {
            return Ok(sum);
        }
    }
}
