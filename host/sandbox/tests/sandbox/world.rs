//! A sandbox around the fixture guest, with tiny ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, Once},
    time::Duration,
};

use async_trait::async_trait;
use roughneck_capabilities::{Ports, egress::Egress};
use roughneck_jobs::{
    class::{Class, default_slots},
    clock::{Clock, Millis},
    delivery::Notice,
    failure::Failure,
    grant::Grant,
    id::JobId,
    job::{Job, LogLine},
    model::{Call, Completion, Health, LlmError, Piece, Resolved, Site},
    ports::{
        catalog::Catalog,
        kv::{Key, KeyValue, Written},
        llm::{Answer, Llm},
        runner::{Assignment, Outcome, Runner, Standing, Supervisor},
        store::StoreError,
    },
    priority::Priority,
    run::Run,
    state::State,
    usage::Usage,
};
use roughneck_sandbox::{Config, Plugins};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::kin::Kin;

/// Longest wait for anything that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

const JOB: &str = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB";

/// A cache with the fixture's compiled code. Compiling takes seconds when the compiler itself is not
/// optimised, so that the tests of this process do it once and copy.
static COMPILED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = Folder::without_cache();
    folder.add("fixture", &[], &fixture_wasm());
    folder.grant_all("fixture").load().folder.cache
});

/// A file or folder below `target` that `cargo xtask guests` made.
fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask guests` first", path.display());
    path
}

pub(crate) fn fixture_wasm() -> Vec<u8> {
    fs::read(built("fixtures/fixture/fixture.wasm")).unwrap()
}

/// A folder of plugins to load.
pub(crate) struct Folder {
    pub(crate) plugins: TempDir,
    /// A plugin as it was built, to load as well.
    published: Option<PathBuf>,
    pub(crate) cache: TempDir,
    pub(crate) grants: BTreeMap<String, Grant>,
    pub(crate) host_kinds: BTreeSet<String>,
    pub(crate) host_plugins: BTreeSet<String>,
}

impl Folder {
    /// No plugin, and nothing compiled.
    pub(crate) fn without_cache() -> Self {
        let (plugins, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (grants, host_plugins, host_kinds) = Default::default();
        Self { plugins, published: None, cache, grants, host_plugins, host_kinds }
    }

    /// No plugin, but the fixture's compiled code.
    pub(crate) fn empty() -> Self {
        let folder = Self::without_cache();
        for file in fs::read_dir(COMPILED.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.cache.path().join(file.file_name())).unwrap();
        }
        folder
    }

    /// The fixture, with everything granted and its manifest changed by replacements.
    pub(crate) fn fixture(changes: &[(&str, &str)]) -> Self {
        let folder = Self::empty();
        folder.add("fixture", changes, &fixture_wasm());
        folder.grant_all("fixture")
    }

    /// Loads a plugin below `target` as well.
    pub(crate) fn published(self, name: &str) -> Self {
        Self { published: Some(built(name)), ..self }
    }

    /// Grants a plugin what the fixture's manifest asks for.
    pub(crate) fn grant_all(mut self, plugin: &str) -> Self {
        let grant = self.grants.entry(plugin.to_owned()).or_default();
        grant.http = vec!["*".into()];
        grant.http_private = true;
        grant.callbacks = vec!["alerts".into()];
        grant.config.insert("tone".into(), "formal".into());
        self
    }

    /// Adds a plugin with the fixture's manifest, changed by replacements that must all apply.
    pub(crate) fn add(&self, name: &str, changes: &[(&str, &str)], wasm: &[u8]) {
        let mut manifest = fs::read_to_string(built("fixtures/fixture/plugin.toml")).unwrap();
        for (from, to) in changes {
            assert!(manifest.contains(from), "the fixture's manifest has no {from}");
            manifest = manifest.replace(from, to);
        }
        let folder = self.plugins.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plugin.toml"), manifest).unwrap();
        fs::write(folder.join("fixture.wasm"), wasm).unwrap();
    }

    pub(crate) fn load(self) -> World {
        static TLS: Once = Once::new();
        TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let supervisor = Arc::new(Overseer::default());
        let llm = Arc::new(Model::default());
        let ports = Ports {
            llm: llm.clone(),
            kv: Arc::new(Memory::default()),
            egress: Egress::new().unwrap(),
            clock: Arc::new(Noon),
        };
        let cache_dir = Some(self.cache.path().to_path_buf());
        let mut dirs = vec![self.plugins.path().to_path_buf()];
        dirs.extend(self.published.clone());
        let config = Config {
            dirs,
            cache_dir,
            grants: self.grants.clone(),
            classes: default_slots().into_iter().map(|slots| slots.class).collect(),
            host_plugins: self.host_plugins.clone(),
            host_kinds: self.host_kinds.clone(),
        };
        let plugins = Arc::new(Plugins::load(config, ports).unwrap());
        World { plugins, supervisor, llm, relatives: Arc::default(), folder: self }
    }
}

/// A loaded sandbox.
pub(crate) struct World {
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) supervisor: Arc<Overseer>,
    pub(crate) llm: Arc<Model>,
    pub(crate) relatives: Arc<Kin>,
    pub(crate) folder: Folder,
}

impl World {
    /// The fixture as it is.
    pub(crate) fn new() -> Self {
        Folder::fixture(&[]).load()
    }

    pub(crate) fn assignment(&self, kind: &str, input: &str) -> Assignment {
        let served = self
            .plugins
            .served(kind)
            .unwrap_or_else(|| panic!("no kind {kind}; refused: {:?}", self.plugins.refused()));
        let id: JobId = JOB.parse().unwrap();
        let deadline = Noon.now().plus_ms(served.kind.timeout_ms);
        let (job, run) = (job(id, kind, input), Run { job: id, token: 1 });
        let needs = self.relatives.needs.lock().unwrap().clone();
        Assignment { job, needs, relatives: self.relatives.clone(), run, served, deadline }
    }

    pub(crate) async fn run(&self, kind: &str, input: &str) -> Outcome {
        self.plugins.run(self.assignment(kind, input), self.supervisor.clone()).await
    }

    /// The result of a run that must succeed.
    pub(crate) async fn done(&self, kind: &str, input: &str) -> serde_json::Value {
        match self.run(kind, input).await {
            Outcome::Done { output } => serde_json::from_str(&output).unwrap(),
            outcome @ (Outcome::Failed(_) | Outcome::Postponed(_) | Outcome::Awaits(_)) => {
                panic!("{outcome:?}")
            }
        }
    }

    /// The failure of a run that must fail.
    pub(crate) async fn failed(&self, kind: &str, input: &str) -> Failure {
        match self.run(kind, input).await {
            Outcome::Failed(failure) => failure,
            outcome @ (Outcome::Done { .. } | Outcome::Postponed(_) | Outcome::Awaits(_)) => {
                panic!("{outcome:?}")
            }
        }
    }

    /// The sandbox's metrics as text.
    pub(crate) fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.plugins.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

fn job(id: JobId, kind: &str, input: &str) -> Job {
    Job {
        id,
        kind: kind.to_owned(),
        class: Class("cpu".into()),
        priority: Priority::NORMAL,
        rank: Noon.now(),
        state: State::Working,
        reason: None,
        enqueued_at: Noon.now(),
        run_at: Noon.now(),
        deadline: None,
        started_at: Some(Noon.now()),
        finished_at: None,
        attempt: 2,
        attempts_max: 3,
        losses: 0,
        input: input.to_owned(),
        output: None,
        failure: None,
        usage: Usage::default(),
        callback: None,
        trace_parent: Some("00-1-2-01".into()),
        caller: None,
        plugin: None,
        fire: None,
        member: None,
    }
}

/// A clock that stands still: deadlines are whole, and wall time is measured by the runtime.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Millis {
        Millis(1_700_000_000_000)
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
pub(crate) struct Overseer {
    standing: Mutex<Standing>,
    seen: Mutex<Seen>,
    began: watch::Sender<u32>,
}

impl Default for Overseer {
    fn default() -> Self {
        let began = watch::Sender::new(0);
        Self { standing: Mutex::new(Standing::Held), seen: Mutex::default(), began }
    }
}

impl Overseer {
    pub(crate) fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap() = standing;
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn began(&self) -> u32 {
        *self.began.borrow()
    }

    /// Waits until guest code runs.
    pub(crate) async fn has_begun(&self) {
        let mut began = self.began.subscribe();
        let waited = tokio::time::timeout(SOON, began.wait_for(|began| *began > 0)).await;
        waited.expect("the guest never began").unwrap();
    }
}

#[async_trait]
impl Supervisor for Overseer {
    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap()
    }
    async fn confirmed(&self) -> Standing {
        self.standing()
    }

    fn began(&self) {
        self.began.send_modify(|began| *began += 1);
    }

    async fn loading(&self, _loading: bool) {}

    async fn gave_way(&self) {}

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

/// How the model behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Mood {
    /// It answers "one two three".
    #[default]
    Well,
    /// Nobody listens.
    Down,
    /// It takes the call and never answers.
    Silent,
    /// The host computes for a second before it answers.
    Costly,
}

#[derive(Default)]
pub(crate) struct Model(Mutex<Mood>);

impl Model {
    pub(crate) fn is(&self, mood: Mood) {
        *self.0.lock().unwrap() = mood;
    }
}

#[async_trait]
impl Llm for Model {
    async fn open(
        &self,
        call: Call,
        _supervisor: Arc<dyn Supervisor>,
    ) -> Result<Box<dyn Answer>, LlmError> {
        let mood = *self.0.lock().unwrap();
        match mood {
            Mood::Well => Ok(Box::new(Words { model: call.model, said: 0 })),
            Mood::Down => {
                Err(LlmError::Unavailable { url: "http://o".into(), why: "refused".into() })
            }
            Mood::Silent => std::future::pending().await,
            Mood::Costly => {
                compute(Duration::from_secs(1));
                Ok(Box::new(Words { model: call.model, said: 0 }))
            }
        }
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        Ok(Resolved { name: model.to_owned(), digest: None, site: Site::Here })
    }

    fn health(&self) -> Health {
        Health::Unknown
    }
}

/// Keeps the thread busy for this much of its CPU time.
fn compute(cpu: Duration) {
    use rustix::time::{ClockId, clock_gettime};
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let until = used() + cpu;
    while used() < until {
        (0_u64..10_000).for_each(|n| _ = std::hint::black_box(n));
    }
}

const WORDS: [&str; 3] = ["one ", "two ", "three"];

struct Words {
    model: String,
    said: usize,
}

#[async_trait]
impl Answer for Words {
    async fn next(&mut self) -> Result<Option<Piece>, LlmError> {
        let word = WORDS.get(self.said);
        self.said += 1;
        Ok(word.map(|word| Piece::Text((*word).to_owned())))
    }

    fn completion(&self) -> Completion {
        Completion {
            text: WORDS.concat(),
            finish_reason: "stop".into(),
            usage: Usage { calls: 1, output_tokens: 3, load_ns: 7_000_000, ..Usage::default() },
            model: self.model.clone(),
            ..Completion::default()
        }
    }
}

#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

fn flat(key: &Key) -> String {
    format!("{}/{}/{}", key.plugin, key.namespace, key.key)
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap().get(&flat(key)).cloned())
    }

    async fn set(
        &self,
        _run: Run,
        key: Key,
        value: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Written, StoreError> {
        let bytes = u64::try_from(value.len()).unwrap();
        if bytes > bytes_max {
            return Ok(Written::Full { bytes });
        }
        self.0.lock().unwrap().insert(flat(&key), value);
        Ok(Written::Stored)
    }

    async fn delete(&self, _run: Run, key: Key) -> Result<bool, StoreError> {
        Ok(self.0.lock().unwrap().remove(&flat(&key)).is_some())
    }
}
