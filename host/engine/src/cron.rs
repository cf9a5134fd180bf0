//! Fires the schedules of the installed plugins.

use std::sync::Arc;

use roughneck_jobs::{
    clock::Millis,
    intake,
    job::NewJob,
    ports::{schedules::Settlement, store::StoreError},
    schedule::Schedule,
};
use tracing::{error, info, warn};

use crate::{
    pause::{AFTER_ERROR, until},
    shared::Shared,
};

/// With `missed = "skip"`, a fire that is at most this late still runs: the loop itself may be late.
const GRACE_MS: u64 = 60_000;

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        let mut next_at: Option<Millis> = None;
        let mut pause_max = None;
        for schedule in schedules(&shared) {
            match fire(&shared, &schedule).await {
                Ok(next) => next_at = [next_at, next].into_iter().flatten().min(),
                Err(error) => {
                    // One schedule's trouble must not stop the others.
                    error!(schedule = schedule.id, %error, "schedule {} could not fire; trying again", schedule.id);
                    pause_max = Some(AFTER_ERROR);
                }
            }
        }
        let pause = until(next_at, shared.parts.clock.now());
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(pause_max.map_or(pause, |max| pause.min(max))) => {}
        }
    }
}

fn schedules(shared: &Shared) -> Vec<Arc<Schedule>> {
    let plugins = shared.parts.catalog.plugins();
    plugins.iter().flat_map(|plugin| plugin.manifest.schedules.iter().cloned()).collect()
}

/// Handles the fires that are due, and returns the next one.
async fn fire(shared: &Shared, schedule: &Schedule) -> Result<Option<Millis>, StoreError> {
    let now = shared.parts.clock.now();
    // A clock that once was ahead left a mark in the future. No fire is repeated by going back to
    // the present: the store takes each once.
    let handled = shared.parts.schedules.handled_up_to(&schedule.id, now).await?.min(now);
    let passed = schedule.next_after(handled).is_some_and(|next| next <= now);
    if passed {
        let jobs = schedule
            .due(handled, now, GRACE_MS)
            .into_iter()
            .filter_map(|at| job(shared, schedule, at))
            .collect();
        let settlement = Settlement {
            schedule: schedule.id.clone(),
            up_to: now,
            jobs,
            overlap: schedule.overlap,
        };
        for job in shared.parts.schedules.settle(settlement).await? {
            info!(%job, schedule = schedule.id, "schedule {} submitted job {job}", schedule.id);
        }
    }
    Ok(schedule.next_after(now))
}

fn job(shared: &Shared, schedule: &Schedule, at: Millis) -> Option<NewJob> {
    let parts = &shared.parts;
    let Some(served) = parts.catalog.served(&schedule.kind) else {
        warn!(schedule = schedule.id, "schedule {} fired for a kind that is gone", schedule.id);
        return None;
    };
    match intake::fire(schedule, at, &served, &*parts.clock, &*parts.entropy) {
        Ok(job) => Some(job),
        Err(error) => {
            warn!(schedule = schedule.id, %error, "schedule {} cannot submit its job", schedule.id);
            None
        }
    }
}
