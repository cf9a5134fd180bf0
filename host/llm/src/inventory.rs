//! Keeps an eye on Ollama: whether it answers, and what it has installed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use roughneck_jobs::{
    class::{Class, OLLAMA},
    model::{Health, LlmError, Resolved},
    ports::bell::{Bell, Change},
};
use serde_json::{Map, Value};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::Instant,
};

use crate::{
    client::Client,
    metrics::{Metrics, OTHER},
    modelfiles::Modelfiles,
    report::{self, Found, Installed, Loaded, Running},
    resolve,
    runner_key::RunnerKey,
    stand_in,
};

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LAST: Duration = Duration::from_secs(30);
/// How long to wait at most while somebody waits for Ollama.
const BACKOFF_EAGER: Duration = Duration::from_secs(1);
/// How often it is made sure, at most, that something is not there.
const DOUBT_EVERY: Duration = Duration::from_secs(1);

/// So much longer the first look may take that finds Ollama there.
const FIRST_LOOK_LONGER: Duration = Duration::from_secs(1);

/// What is known of Ollama, and whoever keeps it fresh.
pub(crate) struct Inventory {
    client: Arc<Client>,
    bell: Arc<dyn Bell>,
    metrics: Arc<Metrics>,
    seen: watch::Sender<Seen>,
    modelfiles: Modelfiles,
    /// One look at a time: those who wait share the result.
    looking: Mutex<()>,
    /// When it was last made sure that something is not there.
    doubted: Mutex<Option<Instant>>,
    wake: Notify,
    /// How long to wait before the next look while all is well.
    poll_every: Duration,
    /// Names of the operator's that stand for models.
    aliases: BTreeMap<String, String>,
    /// How many wait for an answer.
    waiting: watch::Sender<usize>,
    /// Rung when Ollama is there that was not.
    returned: Notify,
}

/// The last look.
#[derive(Debug)]
struct Seen {
    state: State,
    shelf: Shelf,
    /// The last version that was heard of.
    version: Option<String>,
    /// When that look began.
    since: Option<Instant>,
}

/// What is installed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) models: Arc<[Installed]>,
    /// What stands in for some of them, which is nobody's to see.
    pub(crate) stand_ins: Arc<[Installed]>,
}

impl Shelf {
    fn of(models: Vec<Installed>) -> Self {
        let is_stand_in = |model: &Installed| stand_in::name::is_one(&model.name);
        let (stand_ins, models): (Vec<_>, Vec<_>) = models.into_iter().partition(is_stand_in);
        Self { models: models.into(), stand_ins: stand_ins.into() }
    }
}

#[derive(Debug)]
enum State {
    Unknown,
    Up { version: String },
    Down(LlmError),
}

impl Inventory {
    /// Of an Ollama that is looked at every so often.
    pub(crate) fn new(
        client: Arc<Client>,
        bell: Arc<dyn Bell>,
        metrics: Arc<Metrics>,
        poll_every: Duration,
        aliases: BTreeMap<String, String>,
    ) -> Self {
        let nothing =
            Seen { state: State::Unknown, shelf: Shelf::default(), version: None, since: None };
        Self {
            client,
            bell,
            metrics,
            seen: watch::Sender::new(nothing),
            modelfiles: Modelfiles::new(poll_every),
            poll_every,
            aliases,
            looking: Mutex::new(()),
            doubted: Mutex::new(None),
            wake: Notify::new(),
            waiting: watch::Sender::new(0),
            returned: Notify::new(),
        }
    }

    /// How Ollama was when it was last asked.
    pub(crate) fn health(&self) -> Health {
        let seen = self.seen.borrow();
        match &seen.state {
            State::Unknown => Health::Unknown,
            State::Up { version } => {
                Health::Up { version: version.clone(), models: seen.shelf.models.len() }
            }
            State::Down(error) => Health::Down { reason: error.to_string() },
        }
    }

    /// Somebody waits for an answer of Ollama: while it is away it is looked for more often.
    pub(crate) fn awaited(&self) -> Awaited<'_> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        Awaited(&self.waiting)
    }

    /// What is installed, once Ollama answers, which it has to within `patience`.
    ///
    /// # Errors
    /// What stands between the host and Ollama.
    pub(crate) async fn up_within(&self, patience: Duration) -> Result<Arc<[Installed]>, LlmError> {
        let _awaited = self.awaited();
        if let Ok(models) = tokio::time::timeout(patience, self.up()).await {
            return Ok(models);
        }
        let known = match &self.seen.borrow().state {
            State::Down(error) => Some(error.clone()),
            State::Unknown | State::Up { .. } => None,
        };
        match known {
            // Another look would take as long as the one that found this, if Ollama hangs.
            Some(error) => Err(error),
            None => self.refresh().await,
        }
    }

    /// What is installed, once Ollama answers.
    async fn up(&self) -> Arc<[Installed]> {
        let mut seen = self.seen.subscribe();
        loop {
            if let Some(models) = self.models() {
                return models;
            }
            if seen.changed().await.is_err() {
                // The sender is ours: it outlives this call.
                return Arc::from([]);
            }
        }
    }

    /// The version of Ollama, as far as it was ever heard: its clients ask for it to see whether it is
    /// there, and some start one of their own if it is not.
    pub(crate) fn version(&self) -> Option<String> {
        self.seen.borrow().version.clone()
    }

    /// What is installed, or none while Ollama cannot be asked.
    pub(crate) fn models(&self) -> Option<Arc<[Installed]>> {
        self.shelf().map(|shelf| shelf.models)
    }

    /// The same with what stands in for some of it.
    pub(crate) fn shelf(&self) -> Option<Shelf> {
        let seen = self.seen.borrow();
        match &seen.state {
            State::Up { .. } => Some(seen.shelf.clone()),
            State::Unknown | State::Down(_) => None,
        }
    }

    /// Tells of every look from now on.
    pub(crate) fn looks(&self) -> Looks {
        Looks(self.seen.subscribe())
    }

    /// What Ollama keeps loaded for a request to this model with these options. It is told by the weights, or, for as long as
    /// Ollama has not shown them, by the model.
    pub(crate) fn key(
        &self,
        model: &Resolved,
        options: &Map<String, Value>,
        shift: Option<bool>,
    ) -> RunnerKey {
        let made = model.digest.as_deref().and_then(|digest| self.modelfiles.get(digest));
        RunnerKey::of(model, made.as_deref(), options, shift)
    }

    /// Asks how those models are made of which that is not known.
    pub(crate) async fn learn(&self) {
        if let Some(models) = self.models() {
            self.modelfiles.learn(&self.client, &models).await;
        }
    }

    /// Asks what is loaded, and knows what of it is which model: what was loaded by the name of a stand-in is its model. How
    /// that is made is not forgotten while it is loaded.
    ///
    /// # Errors
    /// What stands between the host and Ollama.
    pub(crate) async fn running(&self) -> Result<Vec<Running>, LlmError> {
        let mut running = report::running(&self.client).await?;
        let mut digests = BTreeSet::new();
        let seen = self.seen.borrow();
        for Running { loaded, .. } in &mut running {
            let model = match stand_in::name::stands_for(&loaded.name, &seen.shelf.models) {
                Some(model) => resolve::named(&model.name, &model.digest),
                None => resolve::named(&loaded.name, &loaded.digest),
            };
            loaded.key = self.key(&model, &Map::new(), None);
            loaded.model = model.name;
            digests.extend(model.digest);
        }
        self.modelfiles.are_loaded(digests);
        Ok(running)
    }

    /// The installed names of those models that are such.
    pub(crate) fn names(&self, is_such: impl Fn(&Resolved) -> bool) -> BTreeSet<String> {
        let seen = self.seen.borrow();
        let models = seen.shelf.models.iter().map(|it| resolve::named(&it.name, &it.digest));
        models.filter(is_such).map(|model| model.name).collect()
    }

    /// Whether a model that is loaded can generate.
    pub(crate) fn can_chat(&self, loaded: &Loaded) -> bool {
        let seen = self.seen.borrow();
        let is_it =
            |model: &&Installed| model.digest == loaded.digest || model.name == loaded.model;
        seen.shelf.models.iter().find(is_it).is_some_and(Installed::can_chat)
    }

    /// Waits until Ollama is there that was not.
    pub(crate) async fn returned(&self) {
        self.returned.notified().await;
    }

    /// The metrics label of a model: its name if it is installed.
    pub(crate) fn label(&self, name: &str) -> Arc<str> {
        let seen = self.seen.borrow();
        resolve::find(&seen.shelf.models, name).map_or(OTHER, |model| model.name.as_str()).into()
    }

    /// Looks now, unless somebody began to after this was called.
    ///
    /// # Errors
    /// What stands between the host and Ollama.
    pub(crate) async fn refresh(&self) -> Result<Arc<[Installed]>, LlmError> {
        self.seen_since(Instant::now()).await
    }

    /// The same for somebody who is about to be refused by what is known: it may have been pulled, or made anew, a
    /// moment ago. A client that asks for what is not there asks again and again, so there is one such look a second,
    /// which all share who wait for it.
    ///
    /// # Errors
    /// What stands between the host and Ollama.
    pub(crate) async fn make_sure(&self) -> Result<Arc<[Installed]>, LlmError> {
        let asked_at = Instant::now();
        let mut doubted = self.doubted.lock().await;
        if !self.has_looked_since(asked_at) {
            if let Some(at) = *doubted {
                tokio::time::sleep_until(at + DOUBT_EVERY).await;
            }
            *doubted = Some(Instant::now());
        }
        self.seen_since(asked_at).await
    }

    fn has_looked_since(&self, asked_at: Instant) -> bool {
        self.seen.borrow().since.is_some_and(|since| since >= asked_at)
    }

    async fn seen_since(&self, asked_at: Instant) -> Result<Arc<[Installed]>, LlmError> {
        let _only_one = self.looking.lock().await;
        if !self.has_looked_since(asked_at) {
            let began_at = Instant::now();
            let found = report::look(&self.client).await;
            if let (None, Ok(found)) = (self.models(), &found) {
                self.modelfiles.ask_anew();
                // All calls wait for this look, and the first of them are to be told apart by their weights. What takes
                // longer is learnt behind it.
                let learns = self.modelfiles.learn(&self.client, &found.models);
                let _in_time = tokio::time::timeout(FIRST_LOOK_LONGER, learns).await;
            }
            self.take_in(found, Some(began_at));
        }
        let seen = self.seen.borrow();
        match &seen.state {
            State::Down(error) => Err(error.clone()),
            State::Up { .. } | State::Unknown => Ok(Arc::clone(&seen.shelf.models)),
        }
    }

    /// A call found nobody there: no need to wait for the next look to know.
    pub(crate) fn lost(&self, error: &LlmError) {
        self.take_in(Err(error.clone()), None);
        self.wake.notify_one();
    }

    /// Something was odd: the next look is due now.
    pub(crate) fn suspect(&self) {
        self.wake.notify_one();
    }

    /// Looks again and again until it is dropped. While Ollama is away only the clock decides when: calls
    /// that fail, however many, must not make it ask faster.
    pub(crate) async fn watch_over(&self) {
        let mut failures = 0_u32;
        loop {
            failures = if self.refresh().await.is_ok() { 0 } else { failures.saturating_add(1) };
            tokio::select! {
                () = self.wake.notified(), if failures == 0 => {}
                () = tokio::time::sleep(pause(failures, self.poll_every)) => {}
                () = self.missed() => {}
            }
        }
    }

    /// Completes when somebody has waited for a moment for an Ollama that is away, whoever found that out.
    async fn missed(&self) {
        let (mut waiting, mut seen) = (self.waiting.subscribe(), self.seen.subscribe());
        // Their senders are ours: they outlive this call.
        drop(waiting.wait_for(|waiting| *waiting > 0).await);
        drop(seen.wait_for(|seen| matches!(seen.state, State::Down(_))).await);
        tokio::time::sleep(BACKOFF_EAGER).await;
    }

    fn take_in(&self, found: Result<Found, LlmError>, since: Option<Instant>) {
        let up = found.is_ok();
        if let Ok(found) = &found {
            self.metrics.upstream.version(&found.version);
        }
        let mut turned = false;
        self.seen.send_modify(|seen| {
            turned = match (&seen.state, up) {
                (State::Unknown, _) | (State::Up { .. }, false) | (State::Down(_), true) => true,
                (State::Up { .. }, true) | (State::Down(_), false) => false,
            };
            seen.since = since.or(seen.since);
            seen.state = match found {
                Ok(Found { version, models }) => {
                    seen.shelf = Shelf::of(models);
                    seen.version = Some(version.clone());
                    State::Up { version }
                }
                // What was installed is kept: metrics go on naming it.
                Err(error) => State::Down(error),
            };
        });
        if turned {
            self.announce(up);
        }
    }

    /// The installed models that nobody gets who asks for them, because an alias has their name.
    pub(crate) fn hidden(&self) -> Vec<String> {
        let models = Arc::clone(&self.seen.borrow().shelf.models);
        resolve::hidden(&self.aliases, &models).into_iter().map(str::to_owned).collect()
    }

    fn announce(&self, up: bool) {
        self.metrics.upstream.up(up);
        match self.health() {
            Health::Up { version, models } => {
                let url = self.client.shown();
                tracing::info!(url, version, models, "Ollama answers");
                for model in self.hidden() {
                    tracing::warn!(
                        model,
                        "{model} is installed, but an alias has its name: who asks for it gets another model"
                    );
                }
            }
            Health::Down { reason } => tracing::warn!("{reason}; jobs that need it wait"),
            Health::Unknown | Health::OnTrial { .. } => {}
        }
        if up {
            self.returned.notify_one();
            self.ring();
        }
    }

    /// Says that jobs that need Ollama may go.
    pub(crate) fn ring(&self) {
        self.bell.ring(Change::Class(Class(OLLAMA.to_owned())));
    }
}

/// Hears of looks.
#[derive(Debug)]
pub(crate) struct Looks(watch::Receiver<Seen>);

impl Looks {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The inventory is gone, so there will be none.
            std::future::pending::<()>().await;
        }
    }
}

/// Somebody who waits for an answer of Ollama, until it is dropped.
#[derive(Debug)]
pub(crate) struct Awaited<'a>(&'a watch::Sender<usize>);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

/// How long to wait before the next look, after so many failures in a row.
fn pause(failures: u32, poll_every: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => poll_every,
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_LAST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    struct Silent;

    impl Bell for Silent {
        fn ring(&self, _: Change) {}
    }

    fn inventory(url: &str) -> Arc<Inventory> {
        let client = Client::new(&Config::new(url)).unwrap();
        let (bell, metrics) = (Arc::new(Silent), Arc::new(Metrics::new()));
        let aliases = BTreeMap::new();
        Arc::new(Inventory::new(Arc::new(client), bell, metrics, BACKOFF_LAST, aliases))
    }

    #[tokio::test(start_paused = true)]
    async fn an_ollama_that_is_away_is_looked_for_every_second_while_somebody_waits() {
        // Nobody listens on the port of a listener that is gone.
        let address =
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let inventory = inventory(&format!("http://{address}"));
        let watched = Arc::clone(&inventory);
        tokio::spawn(async move { watched.watch_over().await });
        let mut looks = inventory.seen.subscribe();
        for _ in 0..9 {
            looks.changed().await.unwrap();
        }
        for (is_awaited, seconds) in [(false, 30), (true, 1), (true, 1)] {
            let looked_at = Instant::now();
            let _awaited = is_awaited.then(|| inventory.awaited());
            looks.changed().await.unwrap();
            // As the clock of the test goes on by itself, a look that waits for its connection may take longer.
            let waited = looked_at.elapsed().as_secs();
            assert!((seconds..seconds + 6).contains(&waited), "{is_awaited} {waited}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_of_its_patience_a_caller_is_told_what_is_known() {
        // It accepts, and never answers.
        let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inventory = inventory(&format!("http://{}", hangs.local_addr().unwrap()));
        let known = LlmError::Unavailable { url: "u".to_owned(), why: "it hangs".to_owned() };
        inventory.lost(&known);
        let (asked_at, patience) = (Instant::now(), Duration::from_secs(30));
        assert_eq!(inventory.up_within(patience).await.unwrap_err(), known);
        assert_eq!(asked_at.elapsed(), patience, "no look follows");
    }

    #[test]
    fn a_healthy_ollama_is_asked_rarely_and_a_lost_one_less_and_less() {
        let seconds = |failures| pause(failures, Duration::from_secs(30)).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 40, u32::MAX].map(seconds),
            [30, 1, 2, 4, 8, 16, 30, 30, 30]
        );
    }
}
