//! Gives queued jobs to free slots.

use std::{collections::BTreeSet, sync::Arc};

use roughneck_jobs::{
    causes::Causes,
    class::{Class, Slots},
    model::Health,
    ports::{
        bell::{Bell as _, Change},
        store::{Claim, Claims, StoreError},
    },
    run::LEASE_MS,
};
use tokio::time::Instant;
use tracing::error;

use crate::{
    attempt,
    pause::{AFTER_ERROR, until},
    record::Record,
    shared::Shared,
};

pub(crate) async fn serve(shared: Arc<Shared>) {
    let bells = &shared.parts.bells;
    let mut wanted: BTreeSet<Class> = names(&shared.config.slots);
    loop {
        wanted = round(&shared, std::mem::take(&mut wanted)).await;
        let pause = if wanted.is_empty() {
            // The next bell or opening ends it.
            until(shared.openings.next_at(), shared.parts.clock.now())
        } else {
            AFTER_ERROR
        };
        tokio::select! {
            biased;
            () = shared.stopping.cancelled() => return,
            () = bells.dispatch.notified() => wanted.extend(bells.take_classes()),
            () = tokio::time::sleep(pause) => {}
        }
        wanted.extend(shared.openings.take(shared.parts.clock.now()));
    }
}

/// Claims once for each class, so that a busy one does not starve the others. Returns the classes whose claim
/// failed.
async fn round(shared: &Arc<Shared>, classes: BTreeSet<Class>) -> BTreeSet<Class> {
    let mut failed = BTreeSet::new();
    for class in classes {
        if let Err(error) = claim(shared, &class).await {
            error!(%class, error = %Causes(&error), "jobs of class {class} could not be claimed; trying again");
            failed.insert(class);
        }
    }
    failed
}

/// Claims for whatever slot becomes free by the end of a run of the class. Asked for at the same time as that end is
/// kept, it goes with it: the store need not commit twice, nor be asked by the dispatcher again.
pub(crate) async fn go_on(shared: &Arc<Shared>, class: &Class) {
    if claim(shared, class).await.is_err() {
        // The dispatcher tries again.
        shared.parts.bells.ring(Change::Class(class.clone()));
    }
}

/// Claims for every free slot of the class, and begins what it got. What a gate may have kept back begins when the
/// first of them opens. Whatever else it left, a bell rings for when that may begin: all slots are taken, or no job is
/// ready.
async fn claim(shared: &Arc<Shared>, class: &Class) -> Result<(), StoreError> {
    let slots = shared.config.slots.iter().find(|slots| slots.class == *class);
    // Who waits on a connection says when the turn has come.
    let Some(slots) = slots.filter(|_| !class.is_attended()) else { return Ok(()) };
    if shared.stopping.is_cancelled() {
        return Ok(());
    }
    if class.needs_ollama() && is_down(&shared.parts.llm.health()) {
        // The lane rings when Ollama is back.
        return Ok(());
    }
    let (asked_at, now) = (Instant::now(), shared.parts.clock.now());
    let claim = Claim {
        class: class.clone(),
        limit: slots.count,
        at: now,
        lease_until: now.plus_ms(LEASE_MS),
        prefer: if class.needs_ollama() { shared.parts.llm.preference() } else { None },
    };
    let Claims { claimed, next_at, missed } = shared.parts.store.claim(claim).await?;
    shared.parts.metrics.missed(missed);
    if shared.openings.set(class, next_at) {
        // The dispatcher sleeps for too long.
        shared.parts.bells.dispatch.notify_one();
    }
    for one in claimed {
        shared.parts.metrics.waited(class, now.since_ms(one.job.run_at));
        let record = Record::new(&one, asked_at, &shared.parts);
        let entered = shared.runs.enter(record);
        shared.attempts.spawn(attempt::make(Arc::clone(shared), one, entered));
    }
    Ok(())
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
