//! Gives queued jobs to free slots.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use roughneck_jobs::{
    class::{Class, Slots},
    clock::Millis,
    model::Health,
    ports::store::{Claim, Claims, StoreError},
    run::LEASE_MS,
    state::State,
};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::error;

use crate::{
    attempt,
    pause::{AFTER_ERROR, until},
    record::Record,
    shared::Shared,
};

/// How often the queue is looked at although no bell rang. It repairs a lost notification and
/// refreshes the gauges; it only reads.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) async fn serve(shared: Arc<Shared>) {
    let bells = &shared.parts.bells;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wanted: BTreeSet<Class> = names(&shared.config.slots);
    // When the first gate of a class opens that kept something back.
    let mut openings: BTreeMap<Class, Millis> = BTreeMap::new();
    loop {
        let (again, failed) = round(&shared, std::mem::take(&mut wanted), &mut openings).await;
        wanted = again;
        let pause = match (failed, wanted.is_empty()) {
            (true, _) => AFTER_ERROR,
            (false, false) => Duration::ZERO,
            // The next bell, look or opening ends it.
            (false, true) => {
                until(openings.values().min().copied(), shared.parts.clock.now()).min(LOOK)
            }
        };
        tokio::select! {
            biased;
            () = shared.stopping.cancelled() => return,
            _ = looks.tick() => wanted.extend(look(&shared).await),
            () = bells.dispatch.notified() => wanted.extend(bells.take_classes()),
            () = tokio::time::sleep(pause) => {}
        }
        let now = shared.parts.clock.now();
        wanted.extend(openings.extract_if(.., |_, at| *at <= now).map(|(class, _)| class));
    }
}

/// Claims once for each class, so that a busy one does not starve the others. Returns the classes
/// that may have more, and whether a claim failed.
async fn round(
    shared: &Arc<Shared>,
    classes: BTreeSet<Class>,
    openings: &mut BTreeMap<Class, Millis>,
) -> (BTreeSet<Class>, bool) {
    let (mut again, mut failed) = (BTreeSet::new(), false);
    for class in classes {
        openings.remove(&class);
        match claim(shared, &class).await {
            Ok(Next::Claim) => drop(again.insert(class)),
            Ok(Next::Wait { until }) => {
                openings.extend(until.map(|until| (class, until)));
            }
            Err(error) => {
                error!(%class, %error, "jobs of class {class} could not be claimed; trying again");
                again.insert(class);
                failed = true;
            }
        }
    }
    (again, failed)
}

/// What follows a claim.
enum Next {
    /// Another one: there may be more.
    Claim,
    /// Nothing, until a bell rings or this instant.
    Wait { until: Option<Millis> },
}

/// Claims for every free slot of the class, and begins what it got.
async fn claim(shared: &Arc<Shared>, class: &Class) -> Result<Next, StoreError> {
    let slots = shared.config.slots.iter().find(|slots| slots.class == *class);
    // Who waits on a connection says when the turn has come.
    let Some(slots) = slots.filter(|_| !class.is_attended()) else {
        return Ok(Next::Wait { until: None });
    };
    if class.needs_ollama() && is_down(&shared.parts.llm.health()) {
        // The lane rings when Ollama is back.
        return Ok(Next::Wait { until: None });
    }
    let (asked_at, now) = (Instant::now(), shared.parts.clock.now());
    let claim = Claim {
        class: class.clone(),
        limit: slots.count,
        at: now,
        lease_until: now.plus_ms(LEASE_MS),
        prefer: if class.needs_ollama() { shared.parts.llm.preference() } else { None },
    };
    let Claims { claimed, next_at } = shared.parts.store.claim(claim).await?;
    // Fewer than asked for: no slot is free or no job may begin, and a bell rings when that changes.
    let more = claimed.len() == slots.count as usize;
    for one in claimed {
        shared.parts.metrics.waited(class, now.since_ms(one.job.run_at));
        let record = Record::new(&one, asked_at, &shared.parts);
        let entered = shared.runs.enter(record);
        shared.attempts.spawn(attempt::make(Arc::clone(shared), one, entered));
    }
    Ok(if more { Next::Claim } else { Next::Wait { until: next_at } })
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
