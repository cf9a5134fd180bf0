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
    ports::{
        bell::{Bell as _, Change},
        store::{Claim, Claims, StoreError},
    },
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
        wanted = round(&shared, std::mem::take(&mut wanted), &mut openings).await;
        let pause = if wanted.is_empty() {
            // The next bell, look or opening ends it.
            until(openings.values().min().copied(), shared.parts.clock.now()).min(LOOK)
        } else {
            AFTER_ERROR
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

/// Claims once for each class, so that a busy one does not starve the others. Returns the classes whose claim
/// failed.
async fn round(
    shared: &Arc<Shared>,
    classes: BTreeSet<Class>,
    openings: &mut BTreeMap<Class, Millis>,
) -> BTreeSet<Class> {
    let mut failed = BTreeSet::new();
    for class in classes {
        openings.remove(&class);
        match claim(shared, &class).await {
            Ok(opening) => openings.extend(opening.map(|at| (class, at))),
            Err(error) => {
                error!(%class, %error, "jobs of class {class} could not be claimed; trying again");
                failed.insert(class);
            }
        }
    }
    failed
}

/// Claims for whatever slot becomes free by the end of a run of the class. Asked for at the same time as that end is
/// kept, it goes with it: the store need not commit twice, nor be asked by the dispatcher again.
pub(crate) async fn go_on(shared: &Arc<Shared>, class: &Class) {
    match claim(shared, class).await {
        Ok(None) => {}
        // The dispatcher waits for openings, and tries again what failed.
        Ok(Some(_)) | Err(_) => shared.parts.bells.ring(Change::Class(class.clone())),
    }
}

/// Claims for every free slot of the class, and begins what it got. Returns when the first gate opens that kept
/// something back. Whatever else it left, a bell rings for when that may begin: all slots are taken, or no job is ready.
async fn claim(shared: &Arc<Shared>, class: &Class) -> Result<Option<Millis>, StoreError> {
    let slots = shared.config.slots.iter().find(|slots| slots.class == *class);
    // Who waits on a connection says when the turn has come.
    let Some(slots) = slots.filter(|_| !class.is_attended()) else { return Ok(None) };
    if shared.stopping.is_cancelled() {
        return Ok(None);
    }
    if class.needs_ollama() && is_down(&shared.parts.llm.health()) {
        // The lane rings when Ollama is back.
        return Ok(None);
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
    for one in claimed {
        shared.parts.metrics.waited(class, now.since_ms(one.job.run_at));
        let record = Record::new(&one, asked_at, &shared.parts);
        let entered = shared.runs.enter(record);
        shared.attempts.spawn(attempt::make(Arc::clone(shared), one, entered));
    }
    Ok(next_at)
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
        // On trial: without work it would never be known whether it works again.
        Health::Unknown | Health::Up { .. } | Health::OnTrial { .. } => false,
    }
}

fn names(slots: &[Slots]) -> BTreeSet<Class> {
    slots.iter().map(|slots| slots.class.clone()).collect()
}
