//! Renews the leases of this host's runs, and stops a run that has lost its job.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use roughneck_jobs::{
    causes::Causes,
    ports::runner::Standing,
    run::{HEARTBEAT_MS, LEASE_MS, Run},
    state::State,
};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use crate::{record::Record, shared::Shared};

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
    let mut records = shared.runs.all();
    // Nobody would go on with a job whose run has been told that it has lost it: it is taken back as soon as its lease ends.
    records.retain(|record| !record.is_fenced());
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
            // One that ended between the question and the answer is no loss.
            let lost = lost.into_iter().filter_map(|run| shared.runs.get(run));
            join_all(lost.map(async |record| stop(shared, &record).await)).await;
        }
        Err(error) => {
            error!(error = %Causes(&error), "the leases of {} runs could not be renewed", runs.len());
            records.iter().for_each(|record| record.expire());
        }
    }
}

/// How long the store may take to tell why a run has lost its job. Until then the run goes on.
const WHY_PATIENCE: Duration = Duration::from_secs(1);

/// Stops a run that has lost its job, perhaps because somebody cancelled what its job is a child of: no bell tells that.
async fn stop(shared: &Shared, record: &Record) {
    let job = record.run().job;
    let found = timeout(WHY_PATIENCE, shared.parts.store.job(job)).await;
    if shared.runs.get(record.run()).is_none() {
        // It has lost nothing: its end was kept, and whoever waited for that was slower than the answer to the question.
        return;
    }
    match found {
        Ok(Ok(Some(found))) if found.state == State::Cancelled => {
            info!(%job, "job {job} was cancelled while it ran, and its run is stopped");
            return record.abort(Standing::Cancelled);
        }
        // Probably by this run, which is about to hear of it.
        Ok(Ok(Some(found))) if found.state.is_terminal() => {}
        Ok(Ok(_)) => warn!(%job, "a run of job {job} has lost its job and is stopped"),
        Ok(Err(error)) => warn!(
            %job,
            error = %Causes(&error),
            "a run of job {job} has lost its job, nobody could look why, and is stopped"
        ),
        Err(_elapsed) => {
            warn!(%job, "a run of job {job} has lost its job, the store is slow to tell why, and it is stopped");
        }
    }
    record.abort(Standing::Fenced);
}
