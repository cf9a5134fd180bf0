//! Renews the leases of this host's runs, and stops a run that has lost its job.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    ports::runner::Standing,
    run::{HEARTBEAT_MS, LEASE_MS, Run},
};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::start::Shared;

pub(crate) async fn serve(shared: Arc<Shared>) {
    let period = Duration::from_millis(HEARTBEAT_MS);
    loop {
        // It beats while attempts run, also when the host stops.
        tokio::select! {
            () = tokio::time::sleep(period) => beat(&shared).await,
            () = shared.attempts.wait() => return,
        }
    }
}

async fn beat(shared: &Shared) {
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
            for run in lost {
                warn!(job = %run.job, "a run of job {} has lost its job and is stopped", run.job);
                shared.runs.abort(run, Standing::Fenced);
            }
        }
        Err(error) => {
            error!(%error, "the leases of {} runs could not be renewed", runs.len());
            records.iter().for_each(|record| record.expire());
        }
    }
}
