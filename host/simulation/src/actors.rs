//! The plugin, the lane and the courier of all lives.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    clock::{Clock as _, Millis},
    delivery::Delivery,
    failure::{Failure, code},
    manifest,
    model::{Call, Health, LlmError, Resolved, Site},
    ports::{
        catalog::{Catalog, Plugin, RefusedPlugin, Served},
        courier::{Courier, NotDelivered},
        kv::{Key, KeyValue},
        llm::{Answer, Llm},
        runner::{Assignment, Outcome, Runner, Standing, Supervisor},
    },
    run::Run,
};

use crate::{Dice, Time, act::Act, history::Moment, log::Log, story::Failed};

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
class = "io"
retry = { max = 3, base = "10s" }
[[kind]]
name = "think"
class = "ollama"
retry = { max = 2, base = "5s" }
[[kind]]
name = "turn"
class = "io"
concurrency = { key = "/key", limit = 1 }
[[kind]]
name = "pair"
class = "io"
concurrency = { key = "/key", limit = 2 }
[[kind]]
name = "once"
class = "io"
unique = { key = "/key", during = "active", on-conflict = "return-existing" }
"#;

/// How long a job of the crowd works: long enough that all have begun before the first ends.
const CROWD_MS: u64 = 40_000;

/// Everything around the engine, in one life.
pub(crate) struct Actors {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) seed: u64,
    pub(crate) kv: Arc<dyn KeyValue>,
    pub(crate) log: Arc<Log>,
    pub(crate) time: Arc<Time>,
    /// In the last life receivers take everything, and runs succeed.
    pub(crate) is_calm: bool,
}

/// The one plugin.
pub(crate) fn plugin() -> Result<Arc<Plugin>, Failed> {
    let manifest =
        manifest::parse(MANIFEST).map_err(|error| Failed::Manifest(error.to_string()))?;
    Ok(Arc::new(Plugin { digest: "sha256:0".into(), manifest }))
}

impl Catalog for Actors {
    fn served(&self, kind: &str) -> Option<Arc<Served>> {
        let kind = self.plugin.manifest.kinds.iter().find(|known| known.name == kind)?.clone();
        Some(Arc::new(Served { plugin: Arc::clone(&self.plugin), kind }))
    }

    fn plugins(&self) -> Vec<Arc<Plugin>> {
        vec![Arc::clone(&self.plugin)]
    }

    fn refused(&self) -> Vec<RefusedPlugin> {
        Vec::new()
    }
}

#[async_trait]
impl Runner for Actors {
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome {
        let part = Part { run: assignment.run, deadline: assignment.job.deadline };
        let run = part.run;
        self.log.note(Moment::Began(run));
        supervisor.began();
        match self.perform(self.act(&assignment), part, &*supervisor).await {
            Ok(()) => Outcome::Done { output: "{}".into() },
            Err(outcome) => outcome,
        }
    }
}

/// The part of a run in its job.
#[derive(Clone, Copy)]
struct Part {
    run: Run,
    deadline: Option<Millis>,
}

impl Actors {
    fn act(&self, assignment: &Assignment) -> Act {
        let input: serde_json::Value =
            serde_json::from_str(&assignment.job.input).unwrap_or_default();
        match input.pointer("/n").and_then(serde_json::Value::as_u64) {
            Some(n) if !self.is_calm => Act::draw(self.seed, n, assignment.run.token),
            Some(_) => Act::Succeed,
            None => Act::Work(CROWD_MS),
        }
    }

    /// What a run does. An error is its end, if that is no success.
    async fn perform(
        &self,
        act: Act,
        part: Part,
        supervisor: &dyn Supervisor,
    ) -> Result<(), Outcome> {
        match act {
            Act::Succeed => Ok(()),
            Act::Work(ms) => self.work(part, supervisor, ms).await,
            Act::Think(ms) => {
                supervisor.loading(true).await;
                self.time.pass(ms).await;
                supervisor.loading(false).await;
                self.work(part, supervisor, ms).await
            }
            Act::Write(ms) => {
                self.write(part.run).await;
                self.work(part, supervisor, ms).await?;
                self.write(part.run).await;
                Ok(())
            }
            Act::Fail(ms, failure) => {
                self.work(part, supervisor, ms).await?;
                Err(Outcome::Failed(failure))
            }
            Act::Postpone(failure) => Err(Outcome::Postponed(failure)),
        }
    }

    /// Does something to the world in the beginning, in the middle and in the end, if it may. A run that has lost its
    /// job ends as the sandbox has it.
    async fn work(&self, part: Part, supervisor: &dyn Supervisor, ms: u64) -> Result<(), Outcome> {
        for pause_ms in [0, ms / 2, ms - ms / 2] {
            self.time.pass(pause_ms).await;
            match supervisor.confirmed().await {
                Standing::Held => {
                    let is_late = part.deadline.is_some_and(|deadline| deadline <= self.time.now());
                    let acted = if is_late { Moment::ActedLate } else { Moment::Acted };
                    self.log.note(acted(part.run));
                }
                Standing::Fenced => {
                    let failure = Failure::retry(code::FENCED, "the run lost its job");
                    return Err(Outcome::Failed(failure));
                }
                Standing::Cancelled | Standing::Stopping | Standing::Overdue => {}
            }
        }
        Ok(())
    }

    /// What is refused is written down by the store.
    pub(crate) async fn write(&self, run: Run) {
        let key = Key { plugin: "actor".into(), namespace: "n".into(), key: "k".into() };
        let value = run.token.to_string().into_bytes();
        let _ = self.kv.set(run, key, value, 1 << 20).await;
    }
}

#[async_trait]
impl Llm for Actors {
    async fn open(&self, _: Call, _: Arc<dyn Supervisor>) -> Result<Box<dyn Answer>, LlmError> {
        Err(LlmError::Invalid("nobody calls a model here".into()))
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        Ok(Resolved { name: model.to_owned(), digest: None, site: Site::Here })
    }

    fn health(&self) -> Health {
        Health::Up { version: "0".into(), models: 1 }
    }
}

#[async_trait]
impl Courier for Actors {
    async fn send(&self, delivery: &Delivery, at: Millis) -> Result<(), NotDelivered> {
        let mut dice = Dice::of(&[self.seed, at.0.unsigned_abs(), 3]);
        if !self.is_calm && dice.per_mille(300) {
            let message = "busy".to_owned();
            return Err(NotDelivered::ForNow { message, retry_after_ms: None });
        }
        self.log.note(Moment::Received(delivery.id));
        Ok(())
    }
}
