//! Tiny ports for the tests of this crate.

mod kin;
mod silence;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use roughneck_jobs::{
    caller::Caller,
    clock::{Clock, Millis},
    delivery::Notice,
    grant::Grant,
    id::JobId,
    job::{Job, LogLine},
    manifest::{self, Capabilities, Limits, Manifest, ModelHint},
    model::{Call, Completion, Health, LlmError, Piece, Resolved, Site},
    ports::{
        catalog::{Plugin, Served},
        kv::{Key, KeyValue, Written},
        llm::{Answer, Llm},
        runner::{Assignment, Standing, Supervisor},
        store::StoreError,
    },
    priority::Priority,
    run::Run,
    state::State,
    usage::Usage,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};

use crate::{HostError, Ports, Refusal, Session, egress::Egress};

pub(crate) use kin::Kin;
pub(crate) use silence::Silence;

/// What is left of every run of the tests, in milliseconds.
pub(crate) const TIMEOUT_MS: i64 = 10_000;

const MANIFEST: &str = r#"
manifest = 1
[plugin]
name = "probe"
version = "1.0.0"
world = "roughneck:plugin/job-full@1.0.0"
[component]
source = "probe.wasm"
[[kind]]
name = "probe"
class = "cpu"
"#;

/// Installs the TLS provider, once for all tests of the process.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
}

/// The refusal a guest was told.
#[track_caller]
pub(crate) fn told<T: std::fmt::Debug>(result: Result<T, Refusal>) -> HostError {
    match result.map(|_| ()).unwrap_err() {
        Refusal::Told(error) => error,
        stopped @ (Refusal::Stopped(_) | Refusal::Awaits(_)) => {
            panic!("the guest was stopped: {stopped}")
        }
    }
}

/// A host around one session.
pub(crate) struct World {
    pub(crate) supervisor: Arc<Overseer>,
    pub(crate) llm: Arc<Model>,
    pub(crate) kv: Arc<Memory>,
    pub(crate) relatives: Arc<Kin>,
    pub(crate) clock: Arc<Hand>,
    caller: Option<Caller>,
    egress: Egress,
    manifest: Manifest,
    grant: Grant,
}

impl World {
    pub(crate) fn new() -> Self {
        install_tls();
        Self {
            supervisor: Arc::default(),
            llm: Arc::default(),
            kv: Arc::default(),
            relatives: Arc::default(),
            clock: Arc::default(),
            caller: None,
            egress: Egress::new().unwrap(),
            manifest: manifest::parse(MANIFEST).unwrap(),
            grant: Grant::default(),
        }
    }

    pub(crate) fn wants(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.manifest.capabilities);
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.manifest.limits);
        self
    }

    pub(crate) fn grant(mut self, change: impl FnOnce(&mut Grant)) -> Self {
        change(&mut self.grant);
        self
    }

    /// Whom the job is for.
    pub(crate) fn caller(mut self, name: &str) -> Self {
        self.caller = Some(name.parse().unwrap());
        self
    }

    /// Another plugin, which goes out by the same way as others.
    pub(crate) fn plugin(mut self, name: &str, egress: &Egress) -> Self {
        name.clone_into(&mut self.manifest.name);
        self.egress = egress.clone();
        self
    }

    pub(crate) fn num_ctx(mut self, num_ctx: u32) -> Self {
        let hint = ModelHint { tag: "default".into(), num_ctx: Some(num_ctx) };
        self.manifest.kinds[0].model = Some(hint);
        self
    }

    pub(crate) fn session(&self) -> Session {
        self.session_of(&self.manifest.kinds[0].name)
    }

    /// The session of a job that was submitted when its kind had this name.
    pub(crate) fn session_of(&self, kind_then: &str) -> Session {
        let id: JobId = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".parse().unwrap();
        let kind = self.manifest.kinds[0].clone();
        let plugin =
            Arc::new(Plugin { digest: "sha256:0".into(), manifest: self.manifest.clone() });
        let assignment = Assignment {
            job: Job { caller: self.caller.clone(), ..job(id, kind_then) },
            needs: self.relatives.needs(),
            relatives: self.relatives.clone(),
            run: Run { job: id, token: 1 },
            served: Arc::new(Served { plugin, kind }),
            deadline: Millis(TIMEOUT_MS),
        };
        let ports = Ports {
            llm: self.llm.clone(),
            kv: self.kv.clone(),
            egress: self.egress.clone(),
            clock: self.clock.clone(),
        };
        let grant = Arc::new(self.grant.clone());
        Session::new(&assignment, grant, self.supervisor.clone(), Arc::new(ports))
    }
}

fn job(id: JobId, kind: &str) -> Job {
    Job {
        id,
        kind: kind.to_owned(),
        class: roughneck_jobs::class::Class("cpu".into()),
        priority: Priority::HIGH,
        rank: Millis(7),
        state: State::Working,
        reason: None,
        enqueued_at: Millis(0),
        run_at: Millis(0),
        deadline: None,
        started_at: Some(Millis(0)),
        finished_at: None,
        attempt: 1,
        attempts_max: 3,
        losses: 0,
        input: "{}".into(),
        output: None,
        failure: None,
        usage: Usage::default(),
        callback: None,
        trace_parent: None,
        caller: None,
        plugin: None,
        fire: None,
        member: None,
    }
}

/// A clock that a test moves.
#[derive(Default)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// What a supervisor was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) progress: Vec<(Option<u8>, String)>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) usage: Usage,
    pub(crate) notices: Vec<Notice>,
}

/// A supervisor that writes everything down.
#[derive(Default)]
pub(crate) struct Overseer {
    standing: Mutex<Option<Standing>>,
    in_doubt: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

impl Overseer {
    pub(crate) fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap() = Some(standing);
    }

    /// While true, nobody is told how the run stands for sure.
    pub(crate) fn doubt(&self, doubt: bool) {
        self.in_doubt.send_replace(doubt);
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Supervisor for Overseer {
    fn standing(&self) -> Standing {
        self.standing.lock().unwrap().unwrap_or(Standing::Held)
    }

    async fn confirmed(&self) -> Standing {
        self.in_doubt.subscribe().wait_for(|doubt| !doubt).await.unwrap();
        self.standing()
    }

    async fn loading(&self, _loading: bool) {}

    async fn gave_way(&self) {}

    fn began(&self) {}

    fn text(&self, piece: &str) {
        self.seen.lock().unwrap().text.push_str(piece);
    }

    fn retract(&self) {
        self.seen.lock().unwrap().text.clear();
    }

    fn progress(&self, percent: Option<u8>, note: String) {
        self.seen.lock().unwrap().progress.push((percent, note));
    }

    fn log(&self, line: LogLine) {
        self.seen.lock().unwrap().log.push(line);
    }

    fn spent(&self, usage: &Usage) {
        self.seen.lock().unwrap().usage.add(usage);
    }

    fn notify(&self, notice: Notice) {
        self.seen.lock().unwrap().notices.push(notice);
    }
}

/// A model that says what it was given.
#[derive(Default)]
pub(crate) struct Model {
    pieces: Mutex<Vec<String>>,
    failure: Mutex<Option<LlmError>>,
    breaks_off: AtomicBool,
    aliases: Mutex<BTreeMap<String, String>>,
    calls: Mutex<Vec<Call>>,
}

impl Model {
    pub(crate) fn answer(&self, pieces: &[&str]) {
        *self.pieces.lock().unwrap() = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    }

    /// The answer of the next call breaks off after its last piece.
    pub(crate) fn break_off(&self) {
        self.breaks_off.store(true, Ordering::SeqCst);
    }

    /// Fails the next call.
    pub(crate) fn fail(&self, failure: LlmError) {
        *self.failure.lock().unwrap() = Some(failure);
    }

    pub(crate) fn alias(&self, alias: &str, name: &str) {
        self.aliases.lock().unwrap().insert(alias.to_owned(), name.to_owned());
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Llm for Model {
    async fn open(
        &self,
        call: Call,
        _supervisor: Arc<dyn Supervisor>,
    ) -> Result<Box<dyn Answer>, LlmError> {
        if let Some(failure) = self.failure.lock().unwrap().take() {
            return Err(failure);
        }
        self.calls.lock().unwrap().push(call);
        let left: VecDeque<String> = self.pieces.lock().unwrap().clone().into();
        let breaks_off = self.breaks_off.swap(false, Ordering::SeqCst);
        Ok(Box::new(Words { said: String::new(), left, breaks_off }))
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        let name = self.aliases.lock().unwrap().get(model).cloned();
        Ok(Resolved {
            name: name.unwrap_or_else(|| model.to_owned()),
            digest: None,
            site: Site::Here,
        })
    }

    fn health(&self) -> Health {
        Health::Unknown
    }
}

struct Words {
    said: String,
    left: VecDeque<String>,
    breaks_off: bool,
}

#[async_trait]
impl Answer for Words {
    async fn next(&mut self) -> Result<Option<Piece>, LlmError> {
        let piece = self.left.pop_front();
        if piece.is_none() && self.breaks_off {
            return Err(LlmError::BrokenOff("eof".into()));
        }
        self.said.extend(piece.clone());
        Ok(piece.map(Piece::Text))
    }

    fn completion(&self) -> Completion {
        let usage = Usage { calls: 1, ..Usage::default() };
        Completion { text: self.said.clone(), usage, ..Completion::default() }
    }
}

/// Key-value state in memory.
#[derive(Default)]
pub(crate) struct Memory {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
    fenced: AtomicBool,
}

impl Memory {
    /// Every write from now on comes from a run that lost its job.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, Ordering::SeqCst);
    }

    fn held(&self) -> Result<(), StoreError> {
        if self.fenced.load(Ordering::SeqCst) { Err(StoreError::Fenced) } else { Ok(()) }
    }
}

fn flat(key: &Key) -> String {
    format!("{}/{}/{}", key.plugin, key.namespace, key.key)
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.values.lock().unwrap().get(&flat(key)).cloned())
    }

    async fn set(
        &self,
        _run: Run,
        key: Key,
        value: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Written, StoreError> {
        self.held()?;
        let bytes = u64::try_from(value.len()).unwrap();
        if bytes > bytes_max {
            return Ok(Written::Full { bytes });
        }
        self.values.lock().unwrap().insert(flat(&key), value);
        Ok(Written::Stored)
    }

    async fn delete(&self, _run: Run, key: Key) -> Result<bool, StoreError> {
        self.held()?;
        Ok(self.values.lock().unwrap().remove(&flat(&key)).is_some())
    }
}

/// A server that answers every connection with the same bytes, whatever it is asked.
pub(crate) struct TcpAnswer {
    url: String,
    task: JoinHandle<()>,
}

impl TcpAnswer {
    /// Sends `head` and then `body_bytes` zeros, and closes.
    pub(crate) async fn start(head: &str, body_bytes: usize) -> Self {
        let head = head.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                // The client hangs up when it has seen enough.
                let _ = socket.write_all(head.as_bytes()).await;
                let _ = socket.write_all(&vec![0; body_bytes]).await;
            }
        });
        Self { url, task }
    }

    /// Accepts connections and never answers.
    pub(crate) async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.push(socket);
            }
        });
        Self { url, task }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for TcpAnswer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
