//! Gives queued jobs to free slots.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roughneck_jobs::{
    class::{Class, Slots},
    model::Health,
    ports::store::{Claim, StoreError},
    run::LEASE_MS,
    state::State,
};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::error;

use crate::{attempt, pause::AFTER_ERROR, record::Record, shared::Shared};

/// How often the queue is looked at although no bell rang. It repairs a lost notification and
/// refreshes the gauges; it only reads.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) async fn serve(shared: Arc<Shared>) {
    let bells = &shared.parts.bells;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wanted: BTreeSet<Class> = names(&shared.config.slots);
    loop {
        let (again, failed) = round(&shared, std::mem::take(&mut wanted)).await;
        wanted = again;
        let pause = match (failed, wanted.is_empty()) {
            (true, _) => AFTER_ERROR,
            (false, false) => Duration::ZERO,
            // The next bell or look ends it.
            (false, true) => LOOK,
        };
        tokio::select! {
            biased;
            () = shared.stopping.cancelled() => return,
            _ = looks.tick() => wanted.extend(look(&shared).await),
            () = bells.dispatch.notified() => wanted.extend(bells.take_classes()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Claims once for each class, so that a busy one does not starve the others. Returns the classes
/// that may have more, and whether a claim failed.
async fn round(shared: &Arc<Shared>, classes: BTreeSet<Class>) -> (BTreeSet<Class>, bool) {
    let (mut again, mut failed) = (BTreeSet::new(), false);
    for class in classes {
        match claim(shared, &class).await {
            Ok(true) => drop(again.insert(class)),
            Ok(false) => {}
            Err(error) => {
                error!(%class, %error, "jobs of class {class} could not be claimed; trying again");
                again.insert(class);
                failed = true;
            }
        }
    }
    (again, failed)
}

/// Claims for every free slot of the class, and begins what it got. True if there may be more.
async fn claim(shared: &Arc<Shared>, class: &Class) -> Result<bool, StoreError> {
    let Some(slots) = shared.config.slots.iter().find(|slots| slots.class == *class) else {
        return Ok(false);
    };
    if class.needs_ollama() && is_down(&shared.parts.llm.health()) {
        // The lane rings when Ollama is back.
        return Ok(false);
    }
    let (asked_at, now) = (Instant::now(), shared.parts.clock.now());
    let claim = Claim {
        class: class.clone(),
        limit: slots.count,
        at: now,
        lease_until: now.plus_ms(LEASE_MS),
    };
    let claimed = shared.parts.store.claim(claim).await?;
    // Fewer than asked for: no slot is free or no job is queued, and a bell rings when that changes.
    let more = claimed.len() == slots.count as usize;
    for one in claimed {
        shared.parts.metrics.waited(class, now.since_ms(one.job.run_at));
        let record = Record::new(&one, asked_at, &shared.parts);
        let entered = shared.runs.enter(record);
        shared.attempts.spawn(attempt::make(Arc::clone(shared), one, entered));
    }
    Ok(more)
}

/// Refreshes the gauges and returns the classes that have queued jobs.
async fn look(shared: &Shared) -> BTreeSet<Class> {
    match shared.parts.store.counts().await {
        Ok(counts) => {
            shared.parts.metrics.set_counts(&counts, &shared.config.slots);
            counts
                .into_iter()
                .filter(|count| count.state == State::Queued && count.jobs > 0)
                .map(|count| count.class)
                .collect()
        }
        Err(error) => {
            error!(%error, "the queue could not be counted");
            BTreeSet::new()
        }
    }
}

fn is_down(health: &Health) -> bool {
    match health {
        Health::Down { .. } => true,
        Health::Unknown | Health::Up { .. } => false,
    }
}

fn names(slots: &[Slots]) -> BTreeSet<Class> {
    slots.iter().map(|slots| slots.class.clone()).collect()
}
