//! Queues what is due, and takes back what is lost.

use std::sync::Arc;

use roughneck_jobs::ports::store::{StoreError, Swept};
use tokio::time::Duration;
use tracing::{error, warn};

use crate::{
    pause::{AFTER_ERROR, until},
    start::Shared,
};

/// Jobs moved by one command, so that a flood does not hold up the writer.
const BATCH: u32 = 500;

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        let pause = match sweep(&shared).await {
            Ok(pause) => pause,
            Err(error) => {
                error!(%error, "due jobs could not be queued; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.parts.bells.due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Moves everything that is due now, and returns the wait until the next time.
async fn sweep(shared: &Shared) -> Result<Duration, StoreError> {
    loop {
        let now = shared.parts.clock.now();
        let promoted = shared.parts.store.promote(now, BATCH).await?;
        let reaped = shared.parts.store.reap(now, BATCH).await?;
        if reaped.jobs > 0 {
            warn!(jobs = reaped.jobs, "{} runs have lost their lease", reaped.jobs);
        }
        if promoted.jobs < BATCH && reaped.jobs < BATCH {
            return Ok(until(earlier(promoted, reaped), now));
        }
    }
}

fn earlier(a: Swept, b: Swept) -> Option<roughneck_jobs::clock::Millis> {
    [a.next_at, b.next_at].into_iter().flatten().min()
}
