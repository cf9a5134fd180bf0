//! The engine's world in tests: a clock that follows tokio's paused one, and plugins, a lane and a
//! courier that do as they are told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use prometheus_client::{encoding::text::encode, registry::Registry};
use roughneck_engine::{Bells, Budgets, Config, Engine, Metrics, Parts, Retention};
use roughneck_jobs::{
    budget::{Answer as Wanted, Demand, Ledger, Limits, Payer, Prompt},
    child::DEPTH_MAX,
    class::{Class, default_slots},
    clock::{Clock, Entropy, Millis},
    delivery::{Delivery, Target},
    failure::{Failure, code},
    flow::{
        Dependency,
        plan::{self, FlowSubmission},
    },
    guard::Breaker,
    id::{FlowId, JobId},
    intake::{self, Submission},
    job::{Job, NewJob},
    manifest::{self, Kind},
    model::{Call, Health, LlmError, Resolved, Site},
    ports::{
        bell::{Bell, Change},
        budgets::Budgets as _,
        catalog::{Catalog, Plugin, RefusedPlugin, Served},
        courier::{Courier, NotDelivered},
        flows::Flows as _,
        gateway,
        llm::{Answer, Llm},
        runner::{Assignment, Outcome, Runner, Standing, Supervisor, Wish},
        store::Store,
    },
    preference::Preference,
    state::State,
    usage::Usage,
};
use roughneck_memory::{Disk, Memory};
use tokio::{sync::Notify, time::Instant};

/// The wall clock of a test: it moves with tokio's, which stands still unless everybody waits.
pub(crate) struct Time {
    start: Instant,
    rolls: AtomicU64,
    jumped_ms: AtomicI64,
}

impl Time {
    /// Sets the wall clock forward. Monotonic time stands still, as in a machine that sleeps.
    pub(crate) fn jump(&self, ahead: Duration) {
        self.jumped_ms.fetch_add(ahead.as_millis() as i64, Ordering::Relaxed);
    }

    /// Sets the wall clock back.
    pub(crate) fn set_back(&self, by: Duration) {
        self.jumped_ms.fetch_sub(by.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Millis {
        let passed_ms = self.start.elapsed().as_millis() as u64;
        let start = Millis(1_800_000_000_000 + self.jumped_ms.load(Ordering::Relaxed));
        start.plus_ms(passed_ms)
    }
}

/// The dice of tests: they count.
impl Entropy for Time {
    fn roll(&self) -> u128 {
        u128::from(self.rolls.fetch_add(1, Ordering::Relaxed))
    }
}

/// What the plugin of a test does, by attempt.
#[derive(Clone)]
pub(crate) enum Act {
    Succeed,
    /// Returns its input.
    Echo,
    /// Returns the instant at which the host would stop it.
    Deadline,
    Fail(Failure),
    Postpone(Failure),
    /// Works for so long, then succeeds.
    Work(Duration),
    /// Has a model read so many tokens, and waits if there are not so many left.
    Ask(u64),
    /// Submits so many children of a kind, waits for them, and returns their results.
    Gather(&'static str, usize),
}

/// Plugins, lane and courier of a test.
pub(crate) struct Actors {
    plugin: Arc<Plugin>,
    acts: Mutex<VecDeque<Act>>,
    running: Mutex<BTreeMap<String, (u32, u32)>>,
    /// Runs that were dropped before they ended.
    pub(crate) dropped: AtomicU64,
    pub(crate) begun: Notify,
    pub(crate) ollama_is_down: AtomicBool,
    /// It does not even say which models it has.
    pub(crate) ollama_hangs: AtomicBool,
    pub(crate) preference: Mutex<Option<Preference>>,
    /// No plugin is installed any more.
    pub(crate) is_uninstalled: AtomicBool,
    /// Answers of the webhook's receiver; afterwards it takes everything.
    pub(crate) receiver: Mutex<VecDeque<NotDelivered>>,
    pub(crate) received: Mutex<Vec<Delivery>>,
    /// A receiver that never answers.
    pub(crate) silent: Mutex<Option<Target>>,
    /// Those of the first engine.
    budgets: Arc<Budgets>,
    time: Arc<Time>,
}

/// So few failures that the other stories do not reach it.
const BREAKER: Breaker = Breaker { failures: 6, pause_ms: 600_000 };

const MANIFEST: &str = r#"
manifest = 1
[plugin]
name = "actor"
version = "1.0.0"
world = "roughneck:plugin/job-pure@1.0.0"
[component]
source = "actor.wasm"
[[kind]]
name = "act"
aliases = ["old-act"]
class = "io"
timeout = "1h"
retry = { max = 3, base = "10s", jitter = false }
[[kind]]
name = "think"
class = "ollama"
[[kind]]
name = "ollama.call"
class = "ollama"
"#;

/// Of a model that answers elsewhere.
pub(crate) const CALL: &str = r#"{"path":"/api/chat","body":{"model":"kimi:cloud"}}"#;

impl Actors {
    fn served(&self, kind: &str) -> Option<Arc<Served>> {
        if self.is_uninstalled.load(Ordering::Relaxed) {
            return None;
        }
        let is_meant =
            |known: &&Kind| known.name == kind || known.aliases.iter().any(|alias| alias == kind);
        let kind = self.plugin.manifest.kinds.iter().find(is_meant)?.clone();
        Some(Arc::new(Served { plugin: Arc::clone(&self.plugin), kind }))
    }

    /// What the sandbox and the lane do for a plugin.
    fn ask(&self, job: &Job, tokens: u64) -> Outcome {
        let prompt = Prompt { context: Some(tokens), text_bytes: tokens, pictures: 0 };
        let demand = Demand { prompt, answer: Wanted::None };
        match self.budgets.reserve(&Payer::of_job(job, None), &|| demand) {
            Ok(mut call) => {
                call.settle(&Usage { input_tokens: tokens, ..Usage::default() });
                Outcome::Done { output: "{}".into() }
            }
            Err(over) => {
                let retry_after_ms = over.renewed_in_ms(self.time.now());
                let failure = Failure::retry(over.code(), over.to_string());
                Outcome::Postponed(Failure { retry_after_ms, ..failure })
            }
        }
    }

    /// The most runs of a class that were under way at once.
    pub(crate) fn at_once(&self, class: &str) -> u32 {
        self.running.lock().unwrap().get(class).map_or(0, |(_, most)| *most)
    }
}

impl Catalog for Actors {
    fn served(&self, kind: &str) -> Option<Arc<Served>> {
        Actors::served(self, kind)
    }

    fn plugins(&self) -> Vec<Arc<Plugin>> {
        vec![Arc::clone(&self.plugin)]
    }

    fn refused(&self) -> Vec<RefusedPlugin> {
        Vec::new()
    }
}

/// Counts a run out, and notices when it was dropped in the middle.
struct Under<'a> {
    actors: &'a Actors,
    class: String,
    ended: bool,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.actors.running.lock().unwrap().get_mut(&self.class).unwrap().0 -= 1;
        self.actors.dropped.fetch_add(u64::from(!self.ended), Ordering::Relaxed);
    }
}

#[async_trait]
impl Runner for Actors {
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome {
        let class = assignment.job.class.to_string();
        {
            let mut running = self.running.lock().unwrap();
            let entry = running.entry(class.clone()).or_default();
            entry.0 += 1;
            entry.1 = entry.1.max(entry.0);
        }
        let mut under = Under { actors: self, class, ended: false };
        supervisor.began();
        self.begun.notify_one();
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Succeed);
        let outcome = match act {
            Act::Succeed => Outcome::Done { output: "{}".into() },
            Act::Deadline => Outcome::Done { output: assignment.deadline.0.to_string() },
            Act::Echo => Outcome::Done { output: assignment.job.input.clone() },
            Act::Fail(failure) => Outcome::Failed(failure),
            Act::Postpone(failure) => Outcome::Postponed(failure),
            Act::Work(duration) => work(&*supervisor, duration).await,
            Act::Ask(tokens) => self.ask(&assignment.job, tokens),
            Act::Gather(kind, count) => gather(&assignment, kind, count).await,
        };
        under.ended = true;
        outcome
    }
}

/// How often the host looks whether a plugin may go on.
const PULSE: Duration = Duration::from_secs(10);

/// Computes for so long, as the sandbox has it, and causes something in the end.
async fn work(supervisor: &dyn Supervisor, duration: Duration) -> Outcome {
    let ends = Instant::now() + duration;
    let fenced = || Outcome::Failed(Failure::retry(code::FENCED, "the run lost its job"));
    while Instant::now() < ends {
        tokio::time::sleep_until(ends.min(Instant::now() + PULSE)).await;
        if supervisor.standing() == Standing::Fenced {
            return fenced();
        }
    }
    match supervisor.confirmed().await {
        Standing::Held | Standing::Stopping => Outcome::Done { output: "{}".into() },
        Standing::Cancelled | Standing::Fenced | Standing::Overdue => fenced(),
    }
}

/// What a plugin does with the help of the sandbox.
async fn gather(assignment: &Assignment, kind: &str, count: usize) -> Outcome {
    let mut ids = Vec::new();
    for n in 0..count {
        let input = if kind == gateway::KIND { CALL.to_owned() } else { n.to_string() };
        let (kind, name) = (kind.to_owned(), n.to_string());
        let wish = Wish { kind, name, input, priority: None, run_at: None };
        match assignment.relatives.submit(wish).await {
            Ok(id) => ids.push(id),
            Err(refused) => {
                return Outcome::Failed(Failure::fatal("refused", refused.to_string()));
            }
        }
    }
    let children = assignment.relatives.children(&ids).await.unwrap();
    assert_eq!(children.len(), count);
    if children.iter().any(|child| !child.state.is_terminal()) {
        return Outcome::Awaits(ids);
    }
    let told = |child: Dependency| child.output.unwrap_or_else(|| child.state.as_str().to_owned());
    Outcome::Done { output: children.into_iter().map(told).collect::<Vec<_>>().join(",") }
}

#[async_trait]
impl Llm for Actors {
    async fn open(&self, _: Call, _: Arc<dyn Supervisor>) -> Result<Box<dyn Answer>, LlmError> {
        Err(LlmError::Invalid("no test calls a model here".into()))
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        if self.ollama_hangs.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let site = if model.ends_with(":cloud") { Site::Cloud } else { Site::Here };
        Ok(Resolved { name: model.to_owned(), digest: None, site })
    }

    fn preference(&self) -> Option<Preference> {
        self.preference.lock().unwrap().clone()
    }

    fn health(&self) -> Health {
        if self.ollama_is_down.load(Ordering::Relaxed) {
            Health::Down { reason: "it is down".into() }
        } else {
            Health::Up { version: "0".into(), models: 1 }
        }
    }
}

#[async_trait]
impl Courier for Actors {
    async fn send(&self, delivery: &Delivery, _at: Millis) -> Result<(), NotDelivered> {
        self.received.lock().unwrap().push(delivery.clone());
        if self.silent.lock().unwrap().as_ref() == Some(&delivery.target) {
            return std::future::pending().await;
        }
        match self.receiver.lock().unwrap().pop_front() {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}

/// An engine and everything around it.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<Memory>,
    pub(crate) actors: Arc<Actors>,
    pub(crate) time: Arc<Time>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) budgets: Arc<Budgets>,
    /// The metrics of the first engine.
    pub(crate) registry: Registry,
    limits: Limits,
}

impl World {
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::with_schedules(acts, "", |_| {}).await
    }

    /// A world whose manifest has more lines, and whose store is prepared before the start.
    pub(crate) async fn with_schedules(
        acts: impl IntoIterator<Item = Act>,
        cron: &str,
        prepare: impl FnOnce(&Memory),
    ) -> Self {
        Self::with(acts, cron, Retention::default(), Limits::default(), prepare).await
    }

    /// A world that keeps its ended jobs for so long.
    pub(crate) async fn with_retention(
        acts: impl IntoIterator<Item = Act>,
        retention: Retention,
    ) -> Self {
        Self::with(acts, "", retention, Limits::default(), |_| {}).await
    }

    /// A world with token budgets.
    pub(crate) async fn with_budgets(acts: impl IntoIterator<Item = Act>, limits: Limits) -> Self {
        Self::with(acts, "", Retention::default(), limits, |_| {}).await
    }

    async fn with(
        acts: impl IntoIterator<Item = Act>,
        cron: &str,
        retention: Retention,
        limits: Limits,
        prepare: impl FnOnce(&Memory),
    ) -> Self {
        let time = Arc::new(Time {
            start: Instant::now(),
            rolls: AtomicU64::new(1),
            jumped_ms: AtomicI64::default(),
        });
        let bells = Arc::new(Bells::default());
        let store = Arc::new(Memory::open(&Disk::default(), Arc::clone(&bells) as _));
        let manifest = manifest::parse(&format!("{MANIFEST}{cron}")).unwrap();
        let budgets = budgets(&limits, &store, &time);
        let actors = Arc::new(Actors {
            plugin: Arc::new(Plugin { digest: "sha256:0".into(), manifest }),
            acts: Mutex::new(acts.into_iter().collect()),
            running: Mutex::default(),
            dropped: AtomicU64::default(),
            begun: Notify::new(),
            ollama_is_down: AtomicBool::default(),
            ollama_hangs: AtomicBool::default(),
            preference: Mutex::default(),
            is_uninstalled: AtomicBool::default(),
            receiver: Mutex::default(),
            received: Mutex::default(),
            silent: Mutex::default(),
            budgets: Arc::clone(&budgets),
            time: Arc::clone(&time),
        });
        prepare(&store);
        let mut registry = Registry::default();
        let parts = parts(&store, &actors, &time, (&bells, &budgets), &mut registry);
        let config = config(retention);
        let engine = Engine::start(parts, config).await.unwrap();
        Self { engine, store, actors, time, bells, budgets, registry, limits }
    }

    /// Another engine on the same store, which hears none of its bells.
    pub(crate) async fn second_engine(&self) -> Arc<Engine> {
        let budgets = budgets(&self.limits, &self.store, &self.time);
        let own = (&Arc::default(), &budgets);
        let registry = &mut Registry::default();
        let parts = parts(&self.store, &self.actors, &self.time, own, registry);
        Engine::start(parts, config(Retention::default())).await.unwrap()
    }

    /// Stops the engine at once and starts another one.
    pub(crate) async fn restart(&mut self) {
        self.engine.stop(Duration::ZERO).await;
        self.budgets = budgets(&self.limits, &self.store, &self.time);
        let own = (&self.bells, &self.budgets);
        let registry = &mut Registry::default();
        let parts = parts(&self.store, &self.actors, &self.time, own, registry);
        self.engine = Engine::start(parts, config(Retention::default())).await.unwrap();
    }

    pub(crate) fn job(&self, json: &str) -> NewJob {
        let submission: Submission = serde_json::from_str(json).unwrap();
        let served = self.actors.served(&submission.kind).unwrap();
        intake::accept(submission, &served, &*self.time, &*self.time).unwrap()
    }

    /// Submits a flow, and returns the ids of its jobs in their order.
    pub(crate) async fn submit_flow(&self, json: &str) -> (FlowId, Vec<JobId>) {
        let submission: FlowSubmission = serde_json::from_str(json).unwrap();
        let plan = plan::plan(submission).unwrap();
        let kinds = plan.jobs().iter().map(|job| job.submission.kind.as_str());
        let served: Vec<_> = kinds.map(|kind| self.actors.served(kind).unwrap()).collect();
        let flow = plan.accept(&served, &*self.time, &*self.time).unwrap();
        let ids = flow.jobs.iter().map(|job| job.id).collect();
        self.store.submit_flow(flow.clone()).await.unwrap();
        (flow.id, ids)
    }

    pub(crate) async fn submit(&self, json: &str) -> JobId {
        self.store.submit(self.job(json)).await.unwrap().id()
    }

    /// How many attempts have ended so.
    pub(crate) fn attempts_that(&self, outcome: &str) -> u32 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let of_outcome = format!("roughneck_attempts_total{{outcome=\"{outcome}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&of_outcome));
        count.unwrap().parse().unwrap()
    }

    pub(crate) fn row(&self, id: JobId) -> Job {
        self.store.look(id).unwrap()
    }

    pub(crate) fn state(&self, id: JobId) -> State {
        self.row(id).state
    }

    /// Lets time pass until the job is in the state; fails after a day.
    pub(crate) async fn until(&self, id: JobId, state: State) {
        self.until_true(&format!("{state:?}"), || self.state(id) == state).await;
    }

    pub(crate) async fn until_true(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(86_400);
        while !condition() {
            assert!(Instant::now() < deadline, "a day passed without: {what}");
            self.pass(Duration::from_millis(100)).await;
        }
    }

    /// Lets so much of the paused time pass.
    pub(crate) async fn pass(&self, duration: Duration) {
        tokio::time::timeout(duration, std::future::pending::<()>()).await.unwrap_err();
    }

    /// What the clock will show then.
    pub(crate) fn time_in(&self, duration: Duration) -> Millis {
        self.time.now().plus_ms(duration.as_millis() as u64)
    }

    pub(crate) fn ring_for(&self, class: &str) {
        self.bells.ring(Change::Class(Class(class.to_owned())));
    }
}

fn config(retention: Retention) -> Config {
    Config { slots: default_slots(), retention, breaker: Some(BREAKER), depth_max: DEPTH_MAX }
}

fn budgets(limits: &Limits, store: &Arc<Memory>, time: &Arc<Time>) -> Arc<Budgets> {
    let ledger = Ledger::utc(limits.clone(), time.now());
    Budgets::new(ledger, Arc::clone(store) as _, Arc::clone(time) as _)
}

fn parts(
    store: &Arc<Memory>,
    actors: &Arc<Actors>,
    time: &Arc<Time>,
    (bells, budgets): (&Arc<Bells>, &Arc<Budgets>),
    registry: &mut Registry,
) -> Parts {
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
        clock: Arc::clone(time) as _,
        entropy: Arc::clone(time) as _,
        budgets: Arc::clone(budgets),
        bells: Arc::clone(bells),
        metrics: Metrics::register(registry),
    }
}
