//! The lane: one call in flight, whoever asks.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Clock,
    model::{Call, Health, LlmError, Resolved},
    ports::{
        bell::Bell,
        llm::{Answer, Llm},
        runner::{Standing, Supervisor},
    },
    preference::Preference,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    answer::Streamed,
    broken::Broken,
    client::Client,
    config::{BadConfig, Config},
    drain::Begun,
    inventory::Inventory,
    load::{self, Loading, Way},
    metrics::{Account, Metrics, Outcome, Phase},
    planner::URGENT_PART,
    probe::Installed,
    queue::{Full, Queue, Seat},
    request,
    residency::Resident,
    resolve::{self, Wanted},
    runner_key::RunnerKey,
    stats::Measured,
};

/// The one path to one Ollama. Dropping it stops the watch over the inventory; calls that are under
/// way end on their own.
pub struct Lane {
    pub(crate) shared: Arc<Shared>,
    _watch: DropGuard,
}

/// What outlives the lane as long as a load or an answer needs it.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) client: Arc<Client>,
    pub(crate) inventory: Inventory,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) queue: Queue,
    /// The queue of the embedder that does not wait for the lane.
    pub(crate) embeddings: Queue,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Lane {
    /// Starts to watch over the Ollama of `config`, until `shutdown` or until the lane is dropped.
    /// `bell` is rung for the class `ollama` when Ollama comes back. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`BadConfig`]. That Ollama cannot be reached is none: see [`Llm::health`].
    pub fn start(
        config: Config,
        bell: Arc<dyn Bell>,
        clock: Arc<dyn Clock>,
        shutdown: &CancellationToken,
    ) -> Result<Arc<Self>, BadConfig> {
        config.check_keep_alive()?;
        let client = Arc::new(Client::new(&config)?);
        let metrics = Arc::new(Metrics::new());
        let inventory = Inventory::new(Arc::clone(&client), bell, Arc::clone(&metrics));
        let queue = Queue::new(config.waiting_max, Arc::clone(&metrics));
        let embeddings = Queue::new(config.waiting_max, Arc::clone(&metrics));
        let shared =
            Arc::new(Shared { config, client, inventory, metrics, queue, embeddings, clock });
        let stop = shutdown.child_token();
        let watched = Arc::clone(&shared);
        let token = stop.clone();
        tokio::spawn(async move {
            watched.inventory.watch_over(watched.config.poll_every, token).await;
        });
        Ok(Arc::new(Self { shared, _watch: stop.drop_guard() }))
    }

    /// Asks Ollama now, and says how it is.
    pub async fn look(&self) -> Health {
        // The answer is the health.
        drop(self.shared.inventory.refresh().await);
        self.health()
    }

    /// What operators see of the lane.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

#[async_trait]
impl Llm for Lane {
    async fn open(
        &self,
        call: Call,
        supervisor: Arc<dyn Supervisor>,
    ) -> Result<Box<dyn Answer>, LlmError> {
        let (loading, said) = mpsc::unbounded_channel();
        let opening = async {
            let mut account = Account::open(Arc::clone(&self.shared.metrics));
            match self.shared.begin(&call, &*supervisor, loading, &mut account).await {
                Ok(begun) => Ok(Streamed::new(Arc::clone(&self.shared), begun, account)),
                Err(Broken { outcome, error }) => {
                    account.fail(outcome);
                    self.shared.react(&error);
                    Err(error)
                }
            }
        };
        // Side by side: a slow disk under the store must not keep the turn, nor the GPU idle.
        let (answer, ()) = tokio::join!(opening, load::tell(&*supervisor, said));
        Ok(Box::new(answer?))
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        let wanted = resolve::wanted(&self.shared.config.aliases, model);
        match self.shared.inventory.models() {
            Some(models) => self.shared.installed(&wanted, &models).await,
            None => Ok(wanted.unchecked()),
        }
    }

    fn preference(&self) -> Option<Preference> {
        self.shared.preference(Instant::now())
    }

    fn health(&self) -> Health {
        self.shared.inventory.health()
    }
}

impl Shared {
    /// Waits for the turn, has the model loaded and sends the call.
    async fn begin(
        self: &Arc<Self>,
        call: &Call,
        supervisor: &dyn Supervisor,
        loading: Loading,
        account: &mut Account,
    ) -> Result<Begun, Broken> {
        let wanted = resolve::wanted(&self.config.aliases, &call.model);
        let models = match self.inventory.models() {
            Some(models) => models,
            None => self.inventory.refresh().await?,
        };
        let model = self.installed(&wanted, &models).await?;
        account.model(self.inventory.label(&model.name));
        let options = self.config.with_pin(&model.name, &call.options);
        let keep_alive = self.config.keep_alive.as_deref();
        let body = request::chat(call, &options, &model.name, keep_alive)?;
        let key = RunnerKey::of(&model, &options);

        let queued_at = Instant::now();
        let seat = Seat { key: key.clone(), rank: call.rank, priority: call.priority };
        let full = |Full { waiting_max }| LlmError::Full { waiting_max };
        let turn = self.queue.take(seat).await.map_err(full)?;
        let queue = queued_at.elapsed();
        self.metrics.queue_wait(call.priority, queue);
        account.reach(Phase::Loading);

        may_go_on(supervisor)?;
        let wanted_load = load::Wanted { name: &model.name, key: &key, way: Way::Generate };
        let loaded = load::ensure_loaded(self, turn, wanted_load, &loading).await;
        let (mut turn, load) = loaded.map_err(|broken| self.missing(broken, &wanted))?;
        may_go_on(supervisor)?;
        account.reach(Phase::Prefill);
        let dispatched_at = Instant::now();
        let sent = self.client.post("/api/chat", body).await;
        let response = sent.map_err(|broken| {
            if broken.casts_doubt() {
                turn.residency().doubt();
            }
            self.missing(broken, &wanted)
        })?;
        let measured = Measured { queue, load, first_token: None };
        let tool_calls_before = call.messages.iter().map(|message| message.tool_calls.len()).sum();
        Ok(Begun { response, turn, model, measured, dispatched_at, tool_calls_before })
    }

    /// The names of the model that is loaded, for as long as its quantum lasts.
    fn preference(&self, now: Instant) -> Option<Preference> {
        let Resident { model, quantum_began_at, quantum } = self.queue.resident()?;
        let mut models: BTreeSet<String> = self.inventory.names(&model);
        let aliases = self.config.aliases.iter();
        let meant =
            aliases.filter(|(_, name)| models.iter().any(|own| resolve::is_same(own, name)));
        let aliases: Vec<String> = meant.map(|(alias, _)| alias.clone()).collect();
        models.extend(aliases);
        let left = |whole: Duration| {
            let left = whole.saturating_sub(now.saturating_duration_since(quantum_began_at));
            self.clock.now().plus_ms(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        };
        let urgent_until = left(quantum / URGENT_PART);
        Some(Preference { models, until: left(quantum), urgent_until })
    }

    /// The installed model that is meant, after a second look if the first finds none.
    pub(crate) async fn installed(
        &self,
        wanted: &Wanted<'_>,
        models: &[Installed],
    ) -> Result<Resolved, LlmError> {
        match wanted.among(models) {
            Ok(model) => Ok(model),
            // It may have been pulled since.
            Err(_) => match self.inventory.refresh().await {
                Ok(models) => wanted.among(&models),
                Err(_) => Ok(wanted.unchecked()),
            },
        }
    }

    /// A model that the inventory knows and Ollama does not has been deleted since the last look.
    fn missing(&self, broken: Broken, wanted: &Wanted<'_>) -> Broken {
        match broken.error {
            LlmError::Refused { status: 404, message } if message.contains("not found") => {
                let models = self.inventory.models();
                wanted.not_installed(models.as_deref().unwrap_or_default()).into()
            }
            error => Broken { error, ..broken },
        }
    }

    /// Learns from a call that failed.
    pub(crate) fn react(&self, error: &LlmError) {
        match error {
            LlmError::Unavailable { .. } => self.inventory.lost(error),
            LlmError::BrokenOff(_) | LlmError::NotInstalled { .. } => self.inventory.suspect(),
            LlmError::Refused { .. } | LlmError::Full { .. } | LlmError::Invalid(_) => {}
        }
    }
}

/// Whether a run that has waited may still have a model loaded and its call sent.
fn may_go_on(supervisor: &dyn Supervisor) -> Result<(), Broken> {
    let why = match supervisor.standing() {
        Standing::Held | Standing::Stopping => return Ok(()),
        Standing::Cancelled => "the job was cancelled while it waited for its model",
        Standing::Fenced => "this run lost its job to another run while it waited for its model",
        Standing::Overdue => "the deadline of the job passed while it waited for its model",
    };
    Err(Broken { outcome: Outcome::Cancelled, error: LlmError::Invalid(why.to_owned()) })
}
