//! Renews the leases of this host's runs, and stops a run that has lost its job.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::run::{HEARTBEAT_MS, LEASE_MS, Run};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::shared::Shared;

pub(crate) async fn serve(shared: Arc<Shared>) {
    let period = Duration::from_millis(HEARTBEAT_MS);
    let mut next = Instant::now() + period;
    loop {
        // It beats while attempts run, also when the host stops.
        tokio::select! {
            () = tokio::time::sleep_until(next) => {
                beat(&shared).await;
                shared.runs.forget_early();
                next = Instant::now() + period;
            }
            // The store says which runs have lost their jobs when it is asked to renew them.
            () = shared.parts.bells.runs.notified() => beat(&shared).await,
            () = shared.attempts.wait() => return,
        }
    }
}

/// Renews all leases now. The sweeper calls it before it takes anything back: after the machine
/// slept, or its clock was set, the leases in the store may look expired although the runs are well.
pub(crate) async fn beat(shared: &Shared) {
    let records = shared.runs.all();
    if records.is_empty() {
        return;
    }
    let runs: Vec<Run> = records.iter().map(|record| record.run()).collect();
    let (asked_at, now) = (Instant::now(), shared.parts.clock.now());
    match shared.parts.store.renew(&runs, now.plus_ms(LEASE_MS)).await {
        Ok(lost) => {
            for record in records.iter().filter(|record| !lost.contains(&record.run())) {
                record.renewed(asked_at);
            }
            // A run that ended between the question and the answer is no loss.
            for run in lost.into_iter().filter(|run| shared.runs.fence(*run)) {
                warn!(job = %run.job, "a run of job {} has lost its job and is stopped", run.job);
            }
        }
        Err(error) => {
            error!(%error, "the leases of {} runs could not be renewed", runs.len());
            records.iter().for_each(|record| record.expire());
        }
    }
}
