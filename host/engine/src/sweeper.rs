//! Queues what is due, takes back what is lost, and fails what is overdue.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    causes::Causes,
    clock::Millis,
    ports::{runner::Standing, store::StoreError},
};
use tracing::{error, info, warn};

use crate::{
    heartbeat,
    metrics::LostBy,
    pause::{AFTER_ERROR, until},
    shared::Shared,
};

/// Jobs moved by one command, so that a flood does not hold up the writer.
const BATCH: u32 = 500;

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        // One that fails must not keep the others from their work. What is overdue need not be queued.
        let sweeps = [fail_overdue(&shared).await, promote(&shared).await, reap(&shared).await];
        let pause = pause(&shared, sweeps);
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.parts.bells.due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How long nothing has to be swept.
fn pause(shared: &Shared, sweeps: [Result<Option<Millis>, StoreError>; 3]) -> Duration {
    let (mut next_at, mut failed) = (None, false);
    for sweep in sweeps {
        match sweep {
            Ok(None) => {}
            Ok(Some(at)) => next_at = Some(next_at.map_or(at, |next_at: Millis| next_at.min(at))),
            Err(error) => {
                error!(error = %Causes(&error), "the queue could not be swept; trying again");
                failed = true;
            }
        }
    }
    if failed { AFTER_ERROR } else { until(next_at, shared.parts.clock.now()) }
}

/// Fails everything whose deadline has passed, stops its runs, and returns the next deadline.
async fn fail_overdue(shared: &Shared) -> Result<Option<Millis>, StoreError> {
    loop {
        let overdue = shared.parts.store.fail_overdue(shared.parts.clock.now(), BATCH).await?;
        shared.parts.metrics.missed(overdue.jobs);
        if overdue.jobs > 0 {
            info!(jobs = overdue.jobs, "{} jobs were not over at their deadline", overdue.jobs);
        }
        for run in &overdue.runs {
            shared.runs.abort(*run, Standing::Overdue);
        }
        if overdue.jobs < BATCH {
            return Ok(overdue.next_at);
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
        shared.parts.metrics.lost(LostBy::lease, reaped.runs.len());
        for run in &reaped.runs {
            warn!(job = %run.job, "a run of job {} has lost its lease", run.job);
            if let Some(record) = shared.runs.get(*run) {
                record.abort(Standing::Fenced);
            }
        }
        if reaped.runs.len() < BATCH as usize {
            return Ok(reaped.next_at);
        }
    }
}
