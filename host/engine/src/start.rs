//! Starting and stopping the engine.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use roughneck_jobs::{
    class::Slots,
    ports::{
        catalog::Catalog,
        store::{Count, StoreError},
    },
    rate::Rate,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    Config, Parts, attended,
    breaker::Breakers,
    budgets, census, cron, deliveries, dispatcher,
    drafts::{self, Drafts},
    heartbeat, mend,
    metrics::LostBy,
    openings::Openings,
    pause::AFTER_ERROR,
    retention,
    shared::Shared,
    sweeper,
};

/// The running engine.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    /// Takes new work.
    dispatcher: TaskTracker,
    services: TaskTracker,
}

impl Engine {
    /// Recovers what a dead host left, then starts the services.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be prepared.
    pub async fn start(parts: Parts, config: Config) -> Result<Arc<Self>, StoreError> {
        parts.store.set_slots(&config.slots).await?;
        parts.store.set_rates(&rates(&*parts.catalog)).await?;
        parts.budgets.load(&*parts.catalog).await?;
        attended::clear(&parts).await?;
        let lost = parts.store.recover(parts.clock.now()).await?;
        parts.metrics.lost(LostBy::restart, lost as usize);
        if lost > 0 {
            warn!(lost, "the last host died during {lost} runs; their jobs are queued again");
        }
        for (class, jobs) in stranded(&parts.store.counts().await?, &config.slots) {
            warn!(
                class,
                jobs,
                "{jobs} jobs are of the class {class}, which has no slots: they wait until it has some under [classes]"
            );
        }
        let engine = Arc::new(Self {
            shared: Arc::new(Shared {
                parts,
                config,
                runs: Arc::default(),
                attended: Arc::default(),
                drafts: Drafts::default(),
                breakers: Breakers::default(),
                openings: Openings::default(),
                attempts: TaskTracker::new(),
                stopping: CancellationToken::new(),
                closing: CancellationToken::new(),
            }),
            dispatcher: TaskTracker::new(),
            services: TaskTracker::new(),
        });
        let (shared, services) = (&engine.shared, &engine.services);
        begin(&engine.dispatcher, shared, "dispatcher", dispatcher::serve);
        begin(services, shared, "heartbeat", heartbeat::serve);
        begin(services, shared, "drafts", drafts::serve);
        begin(services, shared, "sweeper", sweeper::serve);
        begin(services, shared, "census", census::serve);
        begin(services, shared, "cron", cron::serve);
        begin(services, shared, "retention", retention::serve);
        begin(services, shared, "mend", mend::serve);
        begin(services, shared, "deliveries", deliveries::serve);
        begin(services, shared, "budgets", budgets::serve);
        Ok(engine)
    }

    /// Takes no new work from now on. Who waits for a turn on a connection is told so.
    pub fn begin_stop(&self) {
        self.shared.stopping.cancel();
        self.shared.attended.dismiss_waiting();
    }

    /// Lets the running jobs finish within `limit`, gives the rest back to the queue, and returns
    /// when nothing of the engine runs any more.
    pub async fn stop(&self, limit: Duration) {
        self.begin_stop();
        // A claim under way still begins its attempts; only then are there no others.
        self.dispatcher.close();
        self.dispatcher.wait().await;
        self.shared.attempts.close();
        let running = self.shared.attempts.len();
        if running > 0 {
            info!(running, "waiting up to {} s for {running} running jobs", limit.as_secs());
        }
        if tokio::time::timeout(limit, self.shared.attempts.wait()).await.is_err() {
            self.shared.attended.dismiss_all();
            let returned = self.shared.runs.return_all();
            info!(returned, "{returned} jobs did not finish in time and go back to the queue");
            self.shared.attempts.wait().await;
        }
        self.shared.closing.cancel();
        self.services.close();
        self.services.wait().await;
    }
}

fn begin<Serving>(
    tracker: &TaskTracker,
    shared: &Arc<Shared>,
    name: &'static str,
    serve: fn(Arc<Shared>) -> Serving,
) where
    Serving: Future<Output = ()> + Send + 'static,
{
    let shared = Arc::clone(shared);
    tracker.spawn(async move { keep_up(name, || serve(Arc::clone(&shared))).await });
}

/// Runs a service until it ends. One that panics begins again, which is as good as a restart of the host: it reads
/// what is kept, and repairs what it finds.
async fn keep_up<Serving>(name: &'static str, serve: impl Fn() -> Serving)
where
    Serving: Future<Output = ()>,
{
    while AssertUnwindSafe(serve()).catch_unwind().await.is_err() {
        error!(service = name, "the service {name} has panicked and begins again");
        tokio::time::sleep(AFTER_ERROR).await;
    }
}

/// The rate limits that the kinds of the installed plugins want.
fn rates(catalog: &dyn Catalog) -> Vec<(String, Rate)> {
    let plugins = catalog.plugins();
    let kinds = plugins.iter().flat_map(|plugin| &plugin.manifest.kinds);
    kinds.filter_map(|kind| Some((kind.name.clone(), kind.rate?))).collect()
}

/// How many jobs no dispatcher will ever claim, by class: it has left the configuration since they were
/// submitted.
fn stranded<'a>(counts: &'a [Count], slots: &[Slots]) -> BTreeMap<&'a str, u64> {
    let has_slots = |count: &Count| slots.iter().any(|slots| slots.class == count.class);
    let mut stranded = BTreeMap::new();
    for count in counts.iter().filter(|count| !has_slots(count)) {
        *stranded.entry(count.class.0.as_str()).or_default() += count.jobs;
    }
    stranded
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use roughneck_jobs::{
        class::{Class, default_slots},
        state::State,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_panics_begins_again_and_one_that_ends_does_not() {
        let begun = AtomicU32::new(0);
        let serve = || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) > 1, "as it should");
        };
        keep_up("test", serve).await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn jobs_of_a_class_that_has_left_the_configuration_are_told() {
        let count =
            |class: &str, state, jobs| Count { class: Class(class.to_owned()), state, jobs };
        let counts = [
            count("gpu9", State::Queued, 2),
            count("gpu9", State::Scheduled, 1),
            count("io", State::Queued, 7),
        ];
        assert_eq!(stranded(&counts, &default_slots()), BTreeMap::from([("gpu9", 3)]));
    }
}
