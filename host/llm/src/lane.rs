//! The lane: one call in flight, whoever asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roughneck_jobs::{
    clock::Clock,
    model::{Call, Health, LlmError, Resolved, Site},
    ports::{
        backlog::Backlog,
        bell::Bell,
        budgets::Budgets,
        gateway::CallRoute,
        llm::{Answer, Llm},
        runner::Supervisor,
    },
    preference::Preference,
};
use serde_json::Map;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    answer::Streamed,
    asking::Asking,
    broken::Broken,
    circuit::Circuit,
    client::Client,
    config::{BadConfig, Config},
    course::Course,
    gateway::{Errands, Questions, Readers},
    inventory::Inventory,
    metrics::{Account, Asker, Metrics},
    model_name, modelfiles,
    others::{Others, Trace},
    planner::URGENT_PART,
    queue::{Queue, Room},
    report::Installed,
    residency::Resident,
    resolve::{self, Wanted},
    runner_key::RunnerKey,
    stand_in::{self, StandIns},
    stats::{self, Cost, Figures},
    telling, watchman,
};

/// Of the words in which Ollama says that it has too many calls.
const TOO_MANY: &str = "maximum pending requests exceeded";

/// The one path to one Ollama. Dropping it stops the watch over the inventory; calls that are under
/// way end on their own.
pub struct Lane {
    pub(crate) shared: Arc<Shared>,
    /// None where nobody watches.
    _watch: Option<DropGuard>,
}

/// What the host lends to the lane.
pub struct Ports {
    /// Rung when Ollama comes back.
    pub bell: Arc<dyn Bell>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Who may still use how many tokens.
    pub budgets: Arc<dyn Budgets>,
    /// Asked whether durable jobs wait for a model that a client wants unloaded.
    pub backlog: Arc<dyn Backlog>,
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
    /// The queue of what is answered elsewhere.
    pub(crate) cloud: Queue,
    /// What clients are changing of what is installed.
    pub(crate) errands: Errands,
    /// What clients ask of Ollama beside the lane.
    pub(crate) questions: Questions,
    /// Clients that are reading their answers.
    pub(crate) readers: Readers,
    /// What keeps the pins of models where calls have no place for a context.
    pub(crate) stand_ins: StandIns,
    pub(crate) clock: Arc<dyn Clock>,
    /// Every call that costs tokens asks them first.
    pub(crate) budgets: Arc<dyn Budgets>,
    pub(crate) backlog: Arc<dyn Backlog>,
    /// Whether calls go.
    pub(crate) circuit: Arc<Circuit>,
    pub(crate) others: Others,
    /// Rung when what is loaded may be something else.
    pub(crate) stirred: Notify,
}

impl Lane {
    /// Starts to watch over the Ollama of `config`, until `shutdown` or until the lane is dropped.
    /// The bell is rung for the class `ollama` when Ollama comes back. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`BadConfig`]. That Ollama cannot be reached is none: see [`Llm::health`].
    pub fn start(
        config: Config,
        ports: Ports,
        shutdown: &CancellationToken,
    ) -> Result<Arc<Self>, BadConfig> {
        let shared = Arc::new(Shared::new(config, ports)?);
        let stop = shutdown.child_token();
        let (looked_at, read) = (Arc::clone(&shared), Arc::clone(&shared));
        let watches: [BoxFuture<'static, ()>; 5] = [
            Box::pin(watchman::watch(Arc::clone(&shared))),
            Box::pin(stand_in::keep(Arc::clone(&shared))),
            Box::pin(modelfiles::keep(Arc::clone(&shared))),
            Box::pin(async move { looked_at.inventory.watch_over().await }),
            Box::pin(async move { read.readers.watch(read.config.stall).await }),
        ];
        for watch in watches {
            tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
        }
        Ok(Arc::new(Self { shared, _watch: Some(stop.drop_guard()) }))
    }

    /// A lane for whoever only wants to know something. It does nothing by itself: Ollama is asked when [`Self::look`]
    /// or [`Llm::resolve`] is, and nothing is changed there.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn to_look(config: Config, ports: Ports) -> Result<Arc<Self>, BadConfig> {
        Ok(Arc::new(Self { shared: Arc::new(Shared::new(config, ports)?), _watch: None }))
    }

    /// Asks Ollama now, and says how it is.
    pub async fn look(&self) -> Health {
        // The answer is the health.
        drop(self.shared.inventory.refresh().await);
        self.health()
    }

    /// The installed models that nobody gets who asks for them, because an alias has their name.
    #[must_use]
    pub fn hidden(&self) -> Vec<String> {
        self.shared.inventory.hidden()
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
        let answer = telling::beside(Arc::clone(&supervisor), |says| async move {
            let asker = Asker::plugin(&call.plugin);
            let metrics = Arc::clone(&self.shared.metrics);
            let mut course = Course::open(Account::open(metrics, asker, CallRoute::Chat));
            let begins = async {
                let asking = Asking::read(&self.shared, call, supervisor, &mut course).await;
                // What was not found has just been looked for: another look would be one too many.
                let asking = asking.inspect_err(|broken| self.shared.unanswered(&broken.error))?;
                let wire = asking.begin(asking.line_up()?, &says, &mut course).await;
                let site = asking.model.site;
                let wire = wire.inspect_err(|broken| self.shared.react(site, &broken.error))?;
                Ok((asking, wire))
            };
            match begins.await {
                Ok((asking, wire)) => Ok(Streamed::new(asking, wire, course)),
                Err(Broken { outcome, error }) => {
                    course.fail(outcome);
                    Err(error)
                }
            }
        });
        Ok(Box::new(answer.await?))
    }

    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError> {
        let wanted = resolve::wanted(&self.shared.config.aliases, model).checked()?;
        match self.shared.inventory.models() {
            Some(models) => self.shared.installed(&wanted, &models).await,
            None => self.shared.admissible(wanted.unchecked()),
        }
    }

    fn preference(&self) -> Option<Preference> {
        self.shared.preference(Instant::now())
    }

    fn aliases(&self) -> Vec<String> {
        resolve::aliases(&self.shared.config.aliases)
    }

    fn health(&self) -> Health {
        let circuit = &self.shared.circuit;
        let health = self.shared.inventory.health();
        if matches!(health, Health::Down { .. }) {
            health
        } else if let Some(error) = circuit.error() {
            Health::Down { reason: error.to_string() }
        } else if let Some(error) = circuit.on_trial() {
            Health::OnTrial { reason: error.to_string() }
        } else {
            health
        }
    }
}

impl Shared {
    fn new(config: Config, ports: Ports) -> Result<Self, BadConfig> {
        let Ports { bell, clock, budgets, backlog } = ports;
        let config = config.checked()?;
        let client = Arc::new(Client::new(&config)?);
        let metrics = Arc::new(Metrics::new());
        let inventory = Inventory::new(
            Arc::clone(&client),
            bell,
            Arc::clone(&metrics),
            config.poll_every,
            config.aliases.clone(),
        );
        let circuit = Arc::new(Circuit::new(&config, client.shown(), Arc::clone(&metrics)));
        let stops = Some(Arc::clone(&circuit));
        let waiting_max = config.waiting_max;
        let room = |turns| Room { turns, waiting_max };
        Ok(Self {
            queue: Queue::new(Site::Here, room(1), Arc::clone(&metrics), stops),
            embeddings: Queue::new(Site::Here, room(1), Arc::clone(&metrics), None),
            cloud: Queue::new(
                Site::Cloud,
                room(config.cloud_concurrency),
                Arc::clone(&metrics),
                None,
            ),
            errands: Errands::default(),
            questions: Questions::default(),
            readers: Readers::default(),
            stand_ins: StandIns::default(),
            others: Others::new(client.shown(), Arc::clone(&metrics)),
            stirred: Notify::new(),
            config,
            client,
            inventory,
            metrics,
            clock,
            budgets,
            backlog,
            circuit,
        })
    }

    /// The names of what is loaded, for as long as its quantum lasts.
    fn preference(&self, now: Instant) -> Option<Preference> {
        let Resident { model, quantum_began_at, quantum } = self.queue.resident()?;
        let models = self.alike(&model);
        let left = |whole: Duration| {
            let left = whole.saturating_sub(now.saturating_duration_since(quantum_began_at));
            self.clock.now().plus_ms(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        };
        let urgent_until = left(quantum / URGENT_PART);
        Some(Preference { models, until: left(quantum), urgent_until })
    }

    /// The names by which jobs ask for what a request to this model asks for: copies of it, and what shares its weights and
    /// has the same options for its runner.
    fn alike(&self, model: &str) -> BTreeSet<String> {
        let nothing = Map::new();
        let key = |model: &Resolved| {
            self.inventory.key(model, &self.config.with_pin(model, &nothing), None)
        };
        let models = self.inventory.models().unwrap_or_default();
        let Some(model) = resolve::find(&models, model) else { return BTreeSet::new() };
        let wanted = key(&resolve::named(&model.name, &model.digest));
        self.names(|model| key(model).asks_as(&wanted))
    }

    /// What the aliases stand for now, `default` among them even when nobody configured it.
    pub(crate) fn aliases(&self) -> BTreeMap<String, String> {
        let models = self.inventory.models().unwrap_or_default();
        resolve::meanings(&self.config.aliases, &models)
    }

    /// The names by which jobs ask for these weights, whatever options come with them.
    pub(crate) fn names_of(&self, weights: &RunnerKey) -> BTreeSet<String> {
        self.names(|model| self.inventory.key(model, &Map::new(), None).has_model_of(weights))
    }

    /// The names by which jobs ask for such models: those that they are installed by, and the aliases of these, of
    /// which `default` is one even when nobody configured it.
    fn names(&self, is_such: impl Fn(&Resolved) -> bool) -> BTreeSet<String> {
        let mut names = self.inventory.names(is_such);
        let mut meant = self.aliases();
        meant.retain(|_, name| names.iter().any(|own| model_name::is_same(own, name)));
        let mut more: Vec<String> = meant.into_keys().collect();
        more.extend(names.iter().filter_map(|name| model_name::short(name)).map(str::to_owned));
        names.extend(more);
        names
    }

    /// The installed model that is meant, after a second look if the first finds none.
    pub(crate) async fn installed(
        &self,
        wanted: &Wanted<'_>,
        models: &[Installed],
    ) -> Result<Resolved, LlmError> {
        let model = match wanted.among(models) {
            Ok(model) => model,
            // It may have been pulled since.
            Err(_) => match self.inventory.make_sure().await {
                Ok(models) => wanted.among(&models)?,
                // Its name says nothing, or it would have been found. Whoever has its turn asks again: see `stays`.
                Err(_) => wanted.unchecked(),
            },
        };
        self.admissible(model)
    }

    /// A model that may be asked, as far as it is known where it answers. Everything that is asked of one comes by here.
    ///
    /// # Errors
    /// [`LlmError::CloudDisabled`].
    pub(crate) fn admissible(&self, model: Resolved) -> Result<Resolved, LlmError> {
        match model.site {
            Site::Cloud if !self.config.cloud => Err(LlmError::CloudDisabled { model: model.name }),
            Site::Here | Site::Cloud => Ok(model),
        }
    }

    /// Whether a call that has waited may still go where it waited: a name may be that of a model elsewhere by now. An Ollama
    /// of which nothing is known is asked first what it has: it may have come back this moment, and be another one.
    ///
    /// # Errors
    /// [`LlmError::CloudDisabled`], [`LlmError::Moved`], and what stands between the host and Ollama.
    pub(crate) async fn stays(&self, model: &Resolved) -> Result<(), LlmError> {
        let models = match self.inventory.models() {
            Some(models) => models,
            None => self.inventory.refresh().await?,
        };
        let wanted = Wanted::Named { name: &model.name, alias: None };
        // What is not there is not known to have moved. Ollama says what becomes of it.
        let Ok(now) = wanted.among(&models) else { return Ok(()) };
        let now = self.admissible(now)?;
        if now.site == model.site { Ok(()) } else { Err(LlmError::Moved { model: now.name }) }
    }

    /// Why there is no answer, if Ollama does not have the model that the inventory knows: it was deleted since the last look.
    /// `asked` is the name of the model as it was asked for.
    pub(crate) fn missing(&self, broken: Broken, asked: &str, model: &Resolved) -> Broken {
        match broken.error {
            LlmError::Refused { status: 404, message }
                if model.site == Site::Here && message.contains("not found") =>
            {
                let models = self.inventory.models();
                let wanted = resolve::wanted(&self.config.aliases, asked);
                wanted.not_installed(models.as_deref().unwrap_or_default()).into()
            }
            error => Broken { error, ..broken },
        }
    }

    /// Learns from a small question that failed.
    pub(crate) fn unanswered(&self, error: &LlmError) {
        if matches!(error, LlmError::Unavailable { .. }) {
            self.inventory.lost(error);
        }
    }

    /// Counts what a call cost that was answered there, and learns from it.
    pub(crate) fn answered(&self, course: &mut Course, site: Site, figures: &Figures) -> Cost {
        let cost = stats::cost(figures, &course.measured);
        course.complete(&cost);
        match site {
            Site::Here => self.others.judge(&cost),
            // The way there and back is long.
            Site::Cloud => {}
        }
        cost
    }

    /// Counts a call that was to be answered there and failed, and learns from it.
    pub(crate) fn failed(&self, course: &mut Course, site: Site, broken: &Broken) {
        course.fail(broken.outcome);
        self.react(site, &broken.error);
    }

    /// Learns from a call that failed. What is elsewhere says of the Ollama here only whether it can be reached.
    pub(crate) fn react(&self, site: Site, error: &LlmError) {
        match site {
            Site::Here => self.react_here(error),
            Site::Cloud => self.unanswered(error),
        }
    }

    fn react_here(&self, error: &LlmError) {
        match error {
            LlmError::Unavailable { .. } => self.inventory.lost(error),
            LlmError::BrokenOff(_) | LlmError::NotInstalled { .. } => {
                self.inventory.suspect();
                self.stirred.notify_one();
            }
            LlmError::Refused { status: 503, message } if message.contains(TOO_MANY) => {
                self.others.notice(Trace::Full);
            }
            LlmError::Refused { status: 500.., .. } => self.stirred.notify_one(),
            LlmError::Refused { .. }
            | LlmError::Unwell { .. }
            | LlmError::CloudDisabled { .. }
            | LlmError::Moved { .. }
            | LlmError::Full { .. }
            | LlmError::OverBudget(_)
            | LlmError::Invalid(_) => {}
        }
    }
}
