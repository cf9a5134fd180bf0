//! A lane, its simulated Ollama, and who watches both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use prometheus_client::{encoding::text, registry::Registry};
use roughneck_jobs::{
    budget::Payer,
    class::Class,
    clock::{Clock, Millis},
    delivery::Notice,
    job::LogLine,
    model::{Call, Completion, Delivery, Health, LlmError, Message, Piece, Role},
    ports::{
        backlog::Backlog,
        bell::{Bell, Change},
        budgets::{Budgets, Unlimited},
        gateway::{Gateway as _, PassRoute, Passage, Reply},
        llm::{Answer, Llm as _},
        runner::{Standing, Supervisor},
        store::StoreError,
    },
    priority::Priority,
    usage::Usage,
};
use roughneck_llm::{Config, Lane, Ports};
use roughneck_testkit::{
    eventually,
    metrics::Page,
    ollama::{self, FakeOllama},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const QWEN: &str = "qwen3:4b";
/// Whose the stand-ins are that the lane has made.
pub(crate) const OWNER: u32 = 1;

/// Remembers what it was told.
#[derive(Default)]
pub(crate) struct Witness {
    rung: Mutex<Vec<Change>>,
    loading: Mutex<Vec<bool>>,
    gave_way: AtomicUsize,
    retracted: AtomicUsize,
    /// Held while the disk is slow.
    pub(crate) disk: tokio::sync::Mutex<()>,
    standing: Mutex<Option<Standing>>,
    /// The names by which it was asked last whether queued jobs want a model.
    pub(crate) names: Mutex<BTreeSet<String>>,
    /// The models that queued jobs ask for.
    pub(crate) backlog: Mutex<BTreeSet<String>>,
    /// How often that was asked.
    pub(crate) asked_for: AtomicUsize,
}

impl Witness {
    pub(crate) fn rung(&self) -> usize {
        self.rung.lock().unwrap().len()
    }
    pub(crate) fn loading(&self) -> Vec<bool> {
        self.loading.lock().unwrap().clone()
    }
    /// How often the run gave way, and how often what it had shown became void.
    pub(crate) fn gave_way(&self) -> (usize, usize) {
        (self.gave_way.load(Ordering::SeqCst), self.retracted.load(Ordering::SeqCst))
    }
    pub(crate) fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap() = Some(standing);
    }
}

impl Clock for Witness {
    fn now(&self) -> Millis {
        // As the simulated Ollama tells it.
        Millis(jiff::Timestamp::now().as_millisecond())
    }
}

impl Bell for Witness {
    fn ring(&self, change: Change) {
        self.rung.lock().unwrap().push(change);
    }
}

#[async_trait]
impl Backlog for Witness {
    async fn asks_for(&self, class: &Class, models: &BTreeSet<String>) -> Result<bool, StoreError> {
        let _read = self.disk.lock().await;
        self.asked_for.fetch_add(1, Ordering::SeqCst);
        self.names.lock().unwrap().clone_from(models);
        Ok(class.needs_ollama() && !self.backlog.lock().unwrap().is_disjoint(models))
    }
}

#[async_trait]
impl Supervisor for Witness {
    fn standing(&self) -> Standing {
        self.standing.lock().unwrap().unwrap_or(Standing::Held)
    }
    async fn confirmed(&self) -> Standing {
        self.standing()
    }
    fn began(&self) {}
    async fn loading(&self, loading: bool) {
        let _written = self.disk.lock().await;
        self.loading.lock().unwrap().push(loading);
    }
    async fn gave_way(&self) {
        self.gave_way.fetch_add(1, Ordering::SeqCst);
    }
    fn text(&self, _piece: &str) {}
    fn retract(&self) {
        self.retracted.fetch_add(1, Ordering::SeqCst);
    }
    fn progress(&self, _percent: Option<u8>, _note: String) {}
    fn log(&self, _line: LogLine) {}
    fn spent(&self, _usage: &Usage) {}
    fn notify(&self, _notice: Notice) {}
}

/// A lane, its Ollama, and who watches both.
pub(crate) struct Stage {
    pub(crate) ollama: FakeOllama,
    pub(crate) lane: Arc<Lane>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) shutdown: CancellationToken,
}

impl Stage {
    pub(crate) async fn with(ollama: ollama::Config, change: impl FnOnce(&mut Config)) -> Self {
        Self::with_budgets(ollama, Arc::new(Unlimited), change).await
    }

    pub(crate) async fn with_budgets(
        ollama: ollama::Config,
        budgets: Arc<dyn Budgets>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let ollama = FakeOllama::start(ollama).await.unwrap();
        let mut config = Config { owner: Some(OWNER), ..Config::new(ollama.url()) };
        config.aliases = BTreeMap::from([("fast".to_owned(), "LLAMA3.2:3b".to_owned())]);
        change(&mut config);
        let witness = Arc::new(Witness::default());
        let shutdown = CancellationToken::new();
        let ports = ports(&witness, budgets);
        let lane = Lane::start(config, ports, &shutdown).unwrap();
        let stage = Self { ollama, lane, witness, shutdown };
        stage.until_up().await;
        stage
    }

    pub(crate) async fn new() -> Self {
        Self::with(ollama::Config::instant(), |_| {}).await
    }

    /// Asks by a route that does not wait for the lane.
    pub(crate) async fn pass(&self, route: PassRoute, method: &str, body: &Value) -> Reply {
        self.pass_as_written(route, method, body.to_string()).await
    }

    pub(crate) async fn pass_as_written(
        &self,
        route: PassRoute,
        method: &str,
        body: String,
    ) -> Reply {
        let body = Bytes::from(body);
        let passage = Passage {
            route,
            method: method.to_owned(),
            path: route.path().to_owned(),
            headers: vec![("content-length", body.len().to_string())],
            body: Box::pin(futures_util::stream::once(async { Ok(body) })),
        };
        self.lane.pass(passage).await
    }

    /// One whose Ollama is not asked what it has loaded unless something happens.
    pub(crate) async fn unwatched() -> Self {
        let rarely = |config: &mut Config| config.look_every = Duration::from_secs(3600);
        Self::with(ollama::Config::instant(), rarely).await
    }

    /// Waits until the host has looked twice from now on: the first look may have begun before.
    pub(crate) async fn until_looked_twice(&self) {
        let before = self.bodies("/api/ps").len();
        let looked = async || self.bodies("/api/ps").len() >= before + 3;
        eventually("the host looks", SOON, looked).await.unwrap();
    }

    /// Waits for the look that follows the first load: what it shows stays. Who does not look again and again waits by this.
    pub(crate) async fn until_looked(&self) {
        let size = format!(r#"roughneck_model_size_bytes{{model="{QWEN}"}}"#);
        let looked = async || self.metric(&size).is_some();
        eventually("the host has looked at what is loaded", SOON, looked).await.unwrap();
    }

    pub(crate) async fn until_up(&self) {
        let is_up = async || matches!(self.lane.health(), Health::Up { .. });
        eventually("the lane sees Ollama", SOON, is_up).await.unwrap();
    }

    pub(crate) async fn open(&self, call: Call) -> Result<Box<dyn Answer>, LlmError> {
        self.lane.open(call, Arc::clone(&self.witness) as Arc<dyn Supervisor>).await
    }

    pub(crate) async fn ask(&self, call: Call) -> Result<(Vec<Piece>, Completion), LlmError> {
        let mut answer = self.open(call).await?;
        let mut pieces = Vec::new();
        while let Some(piece) = answer.next().await? {
            pieces.push(piece);
        }
        Ok((pieces, answer.completion()))
    }

    /// The sum of the series of this name that have these labels among their own, or none if there are none.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let mut registry = Registry::default();
        self.lane.metrics().register(&mut registry);
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        Page::read(&page).sum(series)
    }

    pub(crate) fn bodies(&self, path: &str) -> Vec<String> {
        let log = self.ollama.log().into_iter().filter(|request| request.path == path);
        log.map(|request| String::from_utf8(request.body.to_vec()).unwrap()).collect()
    }
}

pub(crate) fn ports(witness: &Arc<Witness>, budgets: Arc<dyn Budgets>) -> Ports {
    let (bell, clock) = (Arc::clone(witness) as _, Arc::clone(witness) as _);
    Ports { bell, clock, budgets, backlog: Arc::clone(witness) as _ }
}

pub(crate) fn call(model: &str) -> Call {
    let question = Message {
        role: Role::User,
        text: "Say hello".to_owned(),
        images: Vec::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    };
    Call {
        plugin: "test".to_owned(),
        payer: Payer::of("test"),
        rank: Millis(0),
        priority: Priority::NORMAL,
        model: model.to_owned(),
        messages: vec![question],
        tools: Vec::new(),
        response_schema: None,
        options: serde_json::Map::new(),
        delivery: Delivery::Whole,
    }
}

pub(crate) fn with_context(model: &str, num_ctx: u64) -> Call {
    let options = json!({"num_ctx": num_ctx, "temperature": 0}).as_object().unwrap().clone();
    Call { options, ..call(model) }
}

pub(crate) fn failed(result: Result<(Vec<Piece>, Completion), LlmError>) -> LlmError {
    result.map(|(_, completion)| completion).unwrap_err()
}
