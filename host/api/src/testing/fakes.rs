//! The ports, in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use roughneck_jobs::{
    class::{Class, Slots},
    clock::Millis,
    event::JobEvent,
    id::JobId,
    job::{Attempt, DeadLetters, Filter, Job, LogLine, NewJob},
    manifest,
    mark::Passed,
    model::{Call, Health, LlmError, Resolved, Site},
    past::Past,
    pause::{Pause, Scope},
    ports::{
        catalog::{Catalog, Plugin, RefusedPlugin, Served},
        llm::{Answer, Llm},
        runner::Supervisor,
        store::{
            Cancelled, Claim, Claims, Cleared, Count, Finish, Overdue, Promoted, Reaped, Retried,
            Store, StoreError, Submitted,
        },
    },
    rate::Rate,
    run::Run,
    state::State,
    usage::Usage,
};
#[derive(Default)]
pub(crate) struct FakeStore {
    jobs: Mutex<BTreeMap<JobId, Job>>,
    events: Mutex<Vec<JobEvent>>,
    attempts: Mutex<Vec<Attempt>>,
    submitted: Mutex<Vec<NewJob>>,
    keys: Mutex<BTreeMap<String, JobId>>,
    racer: Mutex<Option<Job>>,
    held_back_by: Mutex<Option<JobId>>,
    pauses: Mutex<Vec<Pause>>,
    is_broken: AtomicBool,
    is_unwritable: AtomicBool,
    passed: Mutex<Option<Passed>>,
    pub(crate) reads_of_events: AtomicUsize,
    /// How often somebody has waited for the disk.
    pub(crate) syncs: AtomicUsize,
}

impl FakeStore {
    pub(crate) fn put(&self, job: Job) {
        self.jobs.lock().unwrap().insert(job.id, job);
    }

    /// A job that was submitted with an idempotency key.
    pub(crate) fn put_keyed(&self, key: &str, job: Job) {
        self.keys.lock().unwrap().insert(key.to_owned(), job.id);
        self.put(job);
    }

    pub(crate) fn put_attempt(&self, attempt: Attempt) {
        self.attempts.lock().unwrap().push(attempt);
    }

    /// Moves a job, with its event.
    pub(crate) fn advance(&self, id: JobId, state: State, attempt: u32) {
        let mut jobs = self.jobs.lock().unwrap();
        jobs.get_mut(&id).unwrap().state = state;
        let mut events = self.events.lock().unwrap();
        let seq = events.len() as i64 + 1;
        events.push(JobEvent { seq, at: Millis(seq), state, attempt, reason: None });
    }

    pub(crate) fn submitted(&self) -> Vec<NewJob> {
        self.submitted.lock().unwrap().clone()
    }

    /// The next job that is to be retried needs this one, which has no result.
    pub(crate) fn hold_back_by(&self, needed: JobId) {
        *self.held_back_by.lock().unwrap() = Some(needed);
    }

    /// The next submission finds that this job came in just before it.
    pub(crate) fn win_the_race_with(&self, job: Job) {
        *self.racer.lock().unwrap() = Some(job);
    }

    /// No new job is taken any more.
    pub(crate) fn fill_up(&self, passed: Passed) {
        *self.passed.lock().unwrap() = Some(passed);
    }

    /// Its transactions fail from now on.
    pub(crate) fn fail_to_write(&self) {
        self.is_unwritable.store(true, Ordering::SeqCst);
    }

    pub(crate) fn break_down(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
    }

    /// The oldest dead letters, and the number of the others.
    fn dead(&self, which: &DeadLetters, limit: u32) -> (Vec<JobId>, u64) {
        let jobs = self.jobs.lock().unwrap();
        let dead = jobs.values().filter(|job| which.include(job));
        let mut ids: Vec<JobId> = dead.map(|job| job.id).collect();
        let left = ids.len().saturating_sub(limit as usize);
        ids.truncate(limit as usize);
        (ids, left as u64)
    }

    fn check(&self, doing: &'static str) -> Result<(), StoreError> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(StoreError::Broken { doing, source: "the disk is gone".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn submit(&self, job: NewJob) -> Result<Submitted, StoreError> {
        self.check("submit a job")?;
        if let Some(racer) = self.racer.lock().unwrap().take() {
            let id = racer.id;
            match job.idempotency_key {
                Some(key) => self.put_keyed(&key, racer),
                None => self.put(racer),
            }
            return Ok(Submitted::Existing(id));
        }
        if let Some(passed) = *self.passed.lock().unwrap() {
            return Err(StoreError::Full(passed));
        }
        let id = job.id;
        self.submitted.lock().unwrap().push(job);
        Ok(Submitted::Created(id))
    }

    fn failing(&self) -> Option<StoreError> {
        let is_failing = self.is_unwritable.load(Ordering::SeqCst);
        is_failing.then(|| StoreError::DiskFull { doing: "write", source: "it is full".into() })
    }

    fn passed_mark(&self) -> Option<Passed> {
        *self.passed.lock().unwrap()
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.check("read a job")?;
        Ok(self.jobs.lock().unwrap().get(&id).cloned())
    }

    async fn job_of_key(&self, key: &str) -> Result<Option<Job>, StoreError> {
        self.check("look for a key")?;
        let id = self.keys.lock().unwrap().get(key).copied();
        Ok(id.and_then(|id| self.jobs.lock().unwrap().get(&id).cloned()))
    }

    async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, StoreError> {
        self.check("list jobs")?;
        let jobs = self.jobs.lock().unwrap();
        let matching = jobs.values().rev().filter(|job| {
            filter.state.is_none_or(|state| job.state == state)
                && filter.kind.as_ref().is_none_or(|kind| job.kind == *kind)
                && filter.dead.as_ref().is_none_or(|which| which.include(job))
                && filter.before.is_none_or(|before| job.id < before)
        });
        Ok(matching.take(filter.limit as usize).cloned().collect())
    }

    async fn retry(&self, id: JobId, _: Millis) -> Result<Retried, StoreError> {
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.get_mut(&id).ok_or(StoreError::NoSuchJob(id))?;
        if job.class.is_attended() {
            return Ok(Retried::NobodyWaits);
        }
        if !matches!(job.state, State::Failed | State::Cancelled) {
            return Ok(Retried::Unchanged(job.state));
        }
        if let Some(needed) = self.held_back_by.lock().unwrap().take() {
            return Ok(Retried::HeldBack(needed));
        }
        (job.state, job.attempt) = (State::Queued, 0);
        Ok(Retried::Queued)
    }

    async fn retry_many(
        &self,
        which: DeadLetters,
        limit: u32,
        at: Millis,
    ) -> Result<Cleared, StoreError> {
        let (ids, left) = self.dead(&which, limit);
        for id in &ids {
            self.retry(*id, at).await?;
        }
        Ok(Cleared { jobs: ids.len() as u32, left })
    }

    async fn purge(&self, which: DeadLetters, limit: u32) -> Result<Cleared, StoreError> {
        let (ids, left) = self.dead(&which, limit);
        self.jobs.lock().unwrap().retain(|id, _| !ids.contains(id));
        Ok(Cleared { jobs: ids.len() as u32, left })
    }

    async fn attempts(&self, _: JobId) -> Result<Vec<Attempt>, StoreError> {
        Ok(self.attempts.lock().unwrap().clone())
    }

    async fn events(&self, _: JobId, after_seq: i64) -> Result<Vec<JobEvent>, StoreError> {
        self.reads_of_events.fetch_add(1, Ordering::SeqCst);
        let events = self.events.lock().unwrap();
        Ok(events.iter().filter(|event| event.seq > after_seq).take(200).cloned().collect())
    }

    async fn synced(&self) -> Result<(), StoreError> {
        self.check("reach the disk")?;
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        self.check("count jobs")?;
        Ok(Vec::new())
    }

    async fn set_slots(&self, _: &[Slots]) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
    async fn claim(&self, _: Claim) -> Result<Claims, StoreError> {
        unreachable!("the engine's")
    }
    async fn begin(&self, _: JobId, _: Millis, _: Millis) -> Result<Option<Run>, StoreError> {
        unreachable!("the engine's")
    }
    async fn keep(&self, _: Arc<Past>) -> Result<Option<State>, StoreError> {
        unreachable!("the engine's")
    }
    async fn withdraw(&self, _: JobId, _: &str, _: Millis) -> Result<Cancelled, StoreError> {
        unreachable!("the engine's")
    }
    async fn withdraw_all(&self, _: &Class, _: &str, _: Millis, _: u32) -> Result<u32, StoreError> {
        unreachable!("the engine's")
    }
    async fn set_rates(&self, _: &[(String, Rate)]) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        self.pauses.lock().unwrap().push(pause);
        Ok(())
    }
    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        let mut pauses = self.pauses.lock().unwrap();
        let before = pauses.len();
        pauses.retain(|pause| pause.scope != scope);
        Ok(pauses.len() < before)
    }
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.pauses.lock().unwrap().clone())
    }
    async fn set_loading(&self, _: Run, _: bool, _: Millis) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
    async fn gave_way(&self, _: Run, _: Millis) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
    async fn renew(&self, _: &[Run], _: Millis) -> Result<Vec<Run>, StoreError> {
        unreachable!("the engine's")
    }
    async fn finish(&self, _: Run, _: Finish) -> Result<State, StoreError> {
        unreachable!("the engine's")
    }
    async fn cancel(&self, _: JobId, _: Millis) -> Result<Cancelled, StoreError> {
        unreachable!("the engine's")
    }
    async fn release(&self, _: Run, _: Millis) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
    async fn leave(&self, _: Run, _: Usage, _: Vec<LogLine>) -> Result<(), StoreError> {
        unreachable!("the engine's")
    }
    async fn recover(&self, _: Millis) -> Result<u32, StoreError> {
        unreachable!("the engine's")
    }
    async fn reap(&self, _: Millis, _: u32) -> Result<Reaped, StoreError> {
        unreachable!("the engine's")
    }
    async fn retire(&self, _: State, _: Millis, _: u32) -> Result<u32, StoreError> {
        unreachable!("the engine's")
    }
    async fn fail_overdue(&self, _: Millis, _: u32) -> Result<Overdue, StoreError> {
        unreachable!("the engine's")
    }
    async fn promote(&self, _: Millis, _: u32) -> Result<Promoted, StoreError> {
        unreachable!("the engine's")
    }
}

pub(crate) struct FakeCatalog {
    plugins: Mutex<Vec<Arc<Plugin>>>,
    refused: Mutex<Vec<RefusedPlugin>>,
}

impl FakeCatalog {
    /// `echo`, once called `old-echo`, and `summarize`, which needs `qwen3:30b`.
    pub(crate) fn with_two_plugins() -> Self {
        let head = |name: &str| {
            format!(
                "manifest = 1\n[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\n\
                 world = \"roughneck:plugin/job-llm@1.0.0\"\n[component]\nsource = \"p.wasm\"\n"
            )
        };
        let echo = "[[kind]]\nname = \"echo\"\naliases = [\"old-echo\"]\nclass = \"io\"\n\
                    [[cron]]\nid = \"hourly\"\nkind = \"echo\"\nexpr = \"0 * * * *\"\n\
                    timezone = \"Europe/Berlin\"\ninput = { tick = true }\n";
        let summarize = "[[kind]]\nname = \"summarize\"\nclass = \"ollama\"\n\
                         [kind.model]\ntag = \"qwen3:30b\"\n\
                         [limits]\ntokens-per-job = 9000\n\
                         [capabilities.llm]\nmodels = [\"qwen3:*\"]\n";
        let plugin = |name: &str, rest: &str, digest: &str| {
            let manifest = manifest::parse(&(head(name) + rest)).unwrap();
            Arc::new(Plugin { digest: digest.to_owned(), manifest })
        };
        let plugins =
            vec![plugin("echo", echo, "sha256:1"), plugin("summarize", summarize, "sha256:2")];
        Self { plugins: Mutex::new(plugins), refused: Mutex::default() }
    }

    /// Calls of Ollama's surface are served too.
    pub(crate) fn serve_calls(&self) {
        let manifest = "manifest = 1\n[plugin]\nname = \"ollama\"\nversion = \"1.0.0\"\n\
                        world = \"roughneck:plugin/job-pure@1.0.0\"\n[component]\nsource = \"native\"\n\
                        [[kind]]\nname = \"ollama.call\"\nclass = \"ollama\"\n";
        let manifest = manifest::parse(manifest).unwrap();
        let digest = "native:ollama".to_owned();
        self.plugins.lock().unwrap().push(Arc::new(Plugin { digest, manifest }));
    }

    /// No plugin is installed any more.
    pub(crate) fn uninstall(&self) {
        self.plugins.lock().unwrap().clear();
    }

    pub(crate) fn refuse(&self, plugin: RefusedPlugin) {
        self.refused.lock().unwrap().push(plugin);
    }
}

impl Catalog for FakeCatalog {
    fn served(&self, name: &str) -> Option<Arc<Served>> {
        self.plugins.lock().unwrap().iter().find_map(|plugin| {
            let is_meant = |alias: &String| alias == name;
            let mut kinds = plugin.manifest.kinds.iter();
            let kind = kinds.find(|kind| kind.name == name || kind.aliases.iter().any(is_meant))?;
            Some(Arc::new(Served { plugin: Arc::clone(plugin), kind: kind.clone() }))
        })
    }

    fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.plugins.lock().unwrap().clone()
    }

    fn refused(&self) -> Vec<RefusedPlugin> {
        self.refused.lock().unwrap().clone()
    }
}

#[derive(Default)]
pub(crate) struct FakeLlm {
    is_down: AtomicBool,
    is_on_trial: AtomicBool,
    is_empty: AtomicBool,
    stays_here: AtomicBool,
}

impl FakeLlm {
    pub(crate) fn go_down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn be_on_trial(&self) {
        self.is_on_trial.store(true, Ordering::SeqCst);
    }

    pub(crate) fn forget_models(&self) {
        self.is_empty.store(true, Ordering::SeqCst);
    }

    /// From now on no model of the cloud may be asked.
    pub(crate) fn stay_here(&self) {
        self.stays_here.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Llm for FakeLlm {
    async fn open(&self, _: Call, _: Arc<dyn Supervisor>) -> Result<Box<dyn Answer>, LlmError> {
        unreachable!("the sandbox's")
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        if self.is_down.load(Ordering::SeqCst) {
            let (url, why) = ("http://127.0.0.1:1".to_owned(), "nobody listens".to_owned());
            return Err(LlmError::Unavailable { url, why });
        }
        if self.is_empty.load(Ordering::SeqCst) {
            return Err(LlmError::NotInstalled { model: model.to_owned(), hint: String::new() });
        }
        if model.contains(' ') {
            return Err(LlmError::Invalid("invalid model name".to_owned()));
        }
        let site = if model.ends_with(":cloud") { Site::Cloud } else { Site::Here };
        if site == Site::Cloud && self.stays_here.load(Ordering::SeqCst) {
            return Err(LlmError::CloudDisabled { model: model.to_owned() });
        }
        Ok(Resolved { name: model.to_owned(), digest: None, site })
    }

    fn aliases(&self) -> Vec<String> {
        vec!["fast".to_owned()]
    }

    fn health(&self) -> Health {
        if self.is_down.load(Ordering::SeqCst) {
            return Health::Down { reason: "nobody listens".into() };
        }
        if self.is_on_trial.load(Ordering::SeqCst) {
            return Health::OnTrial { reason: "it has failed".into() };
        }
        Health::Up { version: "0.12.0".into(), models: 1 }
    }
}
