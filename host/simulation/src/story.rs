//! One seed, from the first host to the last.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use roughneck_engine::{Bells, Budgets, Config, Engine, Metrics, Parts, Retention};
use roughneck_jobs::{
    budget::{Ledger, Limits},
    child::DEPTH_MAX,
    class::{Class, Slots},
    clock::Clock as _,
    guard::Breaker,
    id::JobId,
    pause::Scope,
    ports::{catalog::Plugin, outbox::Outbox as _, store::Store as _},
};
use tokio::runtime::Builder;

use crate::{
    Database, Dice, History, Time,
    actors::{self, Actors},
    check,
    client::{Client, Host, LOOK_MAX},
    frail::Frail,
    fuse::Fuse,
    history::{Moment, Seen},
    log::Log,
    script::{Life, Script},
    time::Standstill,
};

/// The slots of the simulated host.
pub(crate) const SLOTS: [(&str, u32); 2] = [("io", 3), ("ollama", 1)];

/// The longest that a story may take to settle: a day, in milliseconds.
const SETTLED_MS_MAX: u64 = 86_400_000;

/// How often somebody looks whether it has.
const LOOK_MS: u64 = 10_000;

/// Why a story did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The runtime of a life could not be made.
    #[error("no runtime could be made")]
    Runtime(#[from] std::io::Error),
    /// The store could not be opened.
    #[error("the store could not be opened: {0}")]
    Open(Box<dyn std::error::Error + Send + Sync>),
    /// The plugin's manifest is wrong.
    #[error("the manifest of the simulation is wrong: {0}")]
    Manifest(String),
    /// The script asks for what there is not.
    #[error("the script is wrong: {0}")]
    Script(String),
    /// Some jobs neither ended nor moved.
    #[error("after a day these have not ended: {0}")]
    Stuck(String),
    /// The store broke its promises.
    #[error("broken promises:\n{0}")]
    Broken(String),
}

/// Tells the story of a seed on an empty database, and holds its history against the promises.
///
/// # Errors
/// [`Failed`] if a promise was broken, or the story could not be told.
pub fn tell(seed: u64, database: &dyn Database) -> Result<History, Failed> {
    let script = Script::draw(seed);
    let story = Story {
        seed,
        database,
        plugin: actors::plugin()?,
        time: Arc::new(Time::new(seed)),
        log: Arc::default(),
    };
    let lives = script.lives.clone();
    let mut client = Client::new(script);
    for (number, life) in lives.into_iter().enumerate() {
        story.live(&mut client, number as u64, life)?;
    }
    let history = story.log.so_far();
    let broken = check::check(&history, &SLOTS);
    if broken.is_empty() { Ok(history) } else { Err(Failed::Broken(broken.join("\n"))) }
}

struct Story<'a> {
    seed: u64,
    database: &'a dyn Database,
    plugin: Arc<Plugin>,
    time: Arc<Time>,
    log: Arc<Log>,
}

impl Story<'_> {
    /// Lets one host live, in a runtime of its own that ends with it.
    fn live(&self, client: &mut Client, number: u64, life: Life) -> Result<(), Failed> {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let dice = Dice::of(&[self.seed, number, 4]);
        let fuse = Arc::new(Fuse::new(dice, life.crash_at));
        let ended = runtime.block_on(async {
            self.time.begin();
            let ended = tokio::select! {
                biased;
                () = fuse.blown() => Ok(()),
                ended = self.host(client, &fuse, life) => ended,
            };
            // What was asked for before the host died is done. Nobody hears of it.
            fuse.is_quiet().await;
            self.time.end(life.down_ms);
            self.log.note(Moment::Ended);
            ended
        });
        // On its one thread no task takes another step: nothing is closed, as in a crash.
        drop(runtime);
        ended
    }

    async fn host(&self, client: &mut Client, fuse: &Arc<Fuse>, life: Life) -> Result<(), Failed> {
        let bells = Arc::new(Bells::default());
        let has_threads = self.database.has_threads();
        let inner = {
            let _standstill = has_threads.then(Standstill::begin);
            let opened = self.database.open(Arc::clone(&bells) as _, Arc::clone(&self.time));
            opened.await.map_err(Failed::Open)?
        };
        let (log, time) = (Arc::clone(&self.log), Arc::clone(&self.time));
        let fuse = Arc::clone(fuse);
        let store = Arc::new(Frail { inner, has_threads, fuse, log, time });
        let actors = Arc::new(Actors {
            plugin: Arc::clone(&self.plugin),
            seed: self.seed,
            kv: Arc::clone(&store) as _,
            log: Arc::clone(&self.log),
            time: Arc::clone(&self.time),
            is_calm: life.crash_at.is_none(),
        });
        let parts = self.parts(&store, &actors, bells);
        // A host that cannot start is started again, by whoever watches over it.
        let Ok(engine) = Engine::start(parts, config()).await else { return Ok(()) };
        self.log.note(Moment::Started);
        let (log, time) = (Arc::clone(&self.log), Arc::clone(&self.time));
        let host = Host { engine, store, actors, time, log };
        client.go_on(&host).await?;
        if life.crash_at.is_none() {
            host.end_schedules().await.map_err(|error| Failed::Script(error.to_string()))?;
        }
        host.settle().await?;
        if life.crash_at.is_none() {
            host.conclude().await?;
        }
        Ok(())
    }

    fn parts(&self, store: &Arc<Frail>, actors: &Arc<Actors>, bells: Arc<Bells>) -> Parts {
        Parts {
            store: Arc::clone(store) as _,
            flows: Arc::clone(store) as _,
            children: Arc::clone(store) as _,
            outbox: Arc::clone(store) as _,
            schedules: Arc::clone(store) as _,
            catalog: Arc::clone(actors) as _,
            runner: Arc::clone(actors) as _,
            llm: Arc::clone(actors) as _,
            courier: Arc::clone(actors) as _,
            clock: Arc::clone(&self.time) as _,
            entropy: Arc::clone(&self.time) as _,
            budgets: Budgets::new(
                Ledger::utc(Limits::default(), self.time.now()),
                Arc::clone(store) as _,
                Arc::clone(&self.time) as _,
            ),
            bells,
            metrics: Metrics::register(&mut Registry::default()),
        }
    }
}

fn config() -> Config {
    let slots = SLOTS.map(|(class, count)| Slots { class: Class(class.to_owned()), count });
    let retention = Retention { done_ms: None, failed_ms: None, cancelled_ms: None };
    let breaker = Some(Breaker { failures: 6, pause_ms: 60_000 });
    Config { slots: slots.to_vec(), retention, breaker, depth_max: DEPTH_MAX }
}

impl Host {
    /// Ends all pauses, and waits until every job has ended.
    async fn settle(&self) -> Result<(), Failed> {
        for kind in &self.actors.plugin.manifest.kinds {
            let _ = self.store.resume(Scope::Kind(kind.name.clone())).await;
        }
        for (class, _) in SLOTS {
            let _ = self.store.resume(Scope::Class(class.to_owned())).await;
        }
        self.until(|seen| seen.iter().all(|job| job.state.is_terminal())).await.map(drop)
    }

    async fn until(&self, fits: impl Fn(&[Seen]) -> bool) -> Result<Vec<Seen>, Failed> {
        let mut seen = None;
        for _ in 0..SETTLED_MS_MAX / LOOK_MS {
            seen = self.look().await;
            if seen.as_ref().is_some_and(|seen| seen.len() >= LOOK_MAX as usize) {
                return Err(Failed::Script("a look does not see all jobs".to_owned()));
            }
            if let Some(seen) = seen.as_ref().filter(|seen| fits(seen)) {
                return Ok(seen.clone());
            }
            self.time.pass(LOOK_MS).await;
        }
        let open = seen.into_iter().flatten().filter(|job| !job.state.is_terminal());
        Err(Failed::Stuck(open.map(|job| format!("{job:?}")).collect::<Vec<_>>().join("\n")))
    }

    /// Fills every slot, to see that none is lost, and writes down what is there in the end.
    async fn conclude(&self) -> Result<(), Failed> {
        self.log.note(Moment::Crowded);
        for (class, count) in SLOTS {
            let kinds = &self.actors.plugin.manifest.kinds;
            let Some(kind) = kinds.iter().find(|kind| kind.class.0 == class) else { continue };
            for _ in 0..count {
                self.submit(self.one_of_the_crowd(&kind.name)?).await;
            }
        }
        let seen = self.until(|seen| seen.iter().all(|job| job.state.is_terminal())).await?;
        self.log.note(Moment::Settled(seen.clone()));
        // The last receivers take everything, and the longest wait of a delivery is an hour, or longer by as
        // much as the clock was set back.
        self.time.pass(SETTLED_MS_MAX / 8).await;
        for job in seen {
            self.tell(job.id).await;
        }
        Ok(())
    }

    async fn tell(&self, job: JobId) {
        let events = self.store.events(job, 0).await.unwrap_or_default();
        let ends = events.iter().filter(|event| event.state.is_terminal()).count();
        let deliveries = self.store.deliveries(job).await.unwrap_or_default();
        let deliveries = deliveries.into_iter().map(|delivery| delivery.id).collect();
        self.log.note(Moment::Told { job, ends, deliveries });
    }
}
