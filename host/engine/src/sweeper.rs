//! Queues what is due, and takes back what is lost.

use std::sync::Arc;

use roughneck_jobs::{clock::Millis, ports::store::StoreError};
use tracing::{error, warn};

use crate::{
    heartbeat,
    pause::{AFTER_ERROR, until},
    shared::Shared,
};

/// Jobs moved by one command, so that a flood does not hold up the writer.
const BATCH: u32 = 500;

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        // One that fails must not keep the other from its work.
        let (due, lost) = (promote(&shared).await, reap(&shared).await);
        let pause = match (due, lost) {
            (Ok(due), Ok(lost)) => {
                let next_at = [due, lost].into_iter().flatten().min();
                until(next_at, shared.parts.clock.now())
            }
            (due, lost) => {
                for error in [due.err(), lost.err()].into_iter().flatten() {
                    error!(%error, "the queue could not be swept; trying again");
                }
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

/// Queues everything that is due now, and returns the next due time.
async fn promote(shared: &Shared) -> Result<Option<Millis>, StoreError> {
    loop {
        let promoted = shared.parts.store.promote(shared.parts.clock.now(), BATCH).await?;
        if promoted.jobs < BATCH {
            return Ok(promoted.next_at);
        }
    }
}

/// Takes back every run whose lease has ended, and returns the next end of a lease.
async fn reap(shared: &Shared) -> Result<Option<Millis>, StoreError> {
    loop {
        heartbeat::beat(shared).await;
        let reaped = shared.parts.store.reap(shared.parts.clock.now(), BATCH).await?;
        for run in &reaped.runs {
            warn!(job = %run.job, "a run of job {} has lost its lease", run.job);
            shared.runs.fence(*run);
        }
        if reaped.runs.len() < BATCH as usize {
            return Ok(reaped.next_at);
        }
    }
}
