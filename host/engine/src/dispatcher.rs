//! Gives queued jobs to free slots.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roughneck_jobs::{
    class::{Class, Slots},
    model::Health,
    ports::store::{Claim, StoreError},
    run::LEASE_MS,
    state::State,
};
use tracing::error;

use crate::{attempt, pause::AFTER_ERROR, start::Shared};

/// How often the queue is looked at although no bell rang. It repairs a lost notification and
/// refreshes the gauges; it reads and writes nothing.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) async fn serve(shared: Arc<Shared>) {
    let bells = &shared.parts.bells;
    let mut wanted: BTreeSet<Class> = names(&shared.config.slots);
    loop {
        for class in std::mem::take(&mut wanted) {
            if let Err(error) = dispatch(&shared, &class).await {
                error!(%class, %error, "jobs of class {class} could not be claimed; trying again");
                wanted.insert(class);
            }
        }
        let pause = if wanted.is_empty() { LOOK } else { AFTER_ERROR };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = bells.dispatch.notified() => wanted.extend(bells.take_classes()),
            () = tokio::time::sleep(pause) => wanted.extend(look(&shared).await),
        }
    }
}

/// Claims until the class has no free slot or no queued job.
async fn dispatch(shared: &Arc<Shared>, class: &Class) -> Result<(), StoreError> {
    let Some(slots) = shared.config.slots.iter().find(|slots| slots.class == *class) else {
        return Ok(());
    };
    if class.needs_ollama() && is_down(&shared.parts.llm.health()) {
        // The lane rings when Ollama is back.
        return Ok(());
    }
    while !shared.stopping.is_cancelled() {
        let now = shared.parts.clock.now();
        let claim = Claim {
            class: class.clone(),
            limit: slots.count,
            at: now,
            lease_until: now.plus_ms(LEASE_MS),
        };
        let claimed = shared.parts.store.claim(claim).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        for one in claimed {
            shared.attempts.spawn(attempt::make(Arc::clone(shared), one));
        }
    }
    Ok(())
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
