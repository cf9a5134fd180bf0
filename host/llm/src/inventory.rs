//! Keeps an eye on Ollama: whether it answers, and what it has installed.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roughneck_jobs::{
    class::{Class, OLLAMA},
    model::{Health, LlmError},
    ports::bell::{Bell, Change},
};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Client,
    metrics::{Metrics, OTHER},
    probe::{self, Installed, Loaded, Probed},
    resolve,
};

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LAST: Duration = Duration::from_secs(30);

/// What is known of Ollama, and whoever keeps it fresh.
pub(crate) struct Inventory {
    client: Arc<Client>,
    bell: Arc<dyn Bell>,
    metrics: Arc<Metrics>,
    seen: watch::Sender<Seen>,
    /// One look at a time: those who wait share the result.
    looking: Mutex<()>,
    wake: Notify,
    /// Rung when Ollama is there that was not.
    returned: Notify,
}

/// The last look.
#[derive(Debug)]
struct Seen {
    state: State,
    models: Arc<[Installed]>,
    /// The last version that was heard of.
    version: Option<String>,
    /// When that look began.
    since: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Unknown,
    Up { version: String },
    Down(LlmError),
}

impl Inventory {
    pub(crate) fn new(client: Arc<Client>, bell: Arc<dyn Bell>, metrics: Arc<Metrics>) -> Self {
        let nothing =
            Seen { state: State::Unknown, models: Arc::from([]), version: None, since: None };
        Self {
            client,
            bell,
            metrics,
            seen: watch::Sender::new(nothing),
            looking: Mutex::new(()),
            wake: Notify::new(),
            returned: Notify::new(),
        }
    }

    /// How Ollama was when it was last asked.
    pub(crate) fn health(&self) -> Health {
        let seen = self.seen.borrow();
        match &seen.state {
            State::Unknown => Health::Unknown,
            State::Up { version } => {
                Health::Up { version: version.clone(), models: seen.models.len() }
            }
            State::Down(error) => Health::Down { reason: error.to_string() },
        }
    }

    /// What is installed, once Ollama answers.
    pub(crate) async fn up(&self) -> Arc<[Installed]> {
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
        let seen = self.seen.borrow();
        match &seen.state {
            State::Up { .. } => Some(Arc::clone(&seen.models)),
            State::Unknown | State::Down(_) => None,
        }
    }

    /// The installed names of these weights.
    pub(crate) fn names(&self, digest: &str) -> BTreeSet<String> {
        let seen = self.seen.borrow();
        let same = seen.models.iter().filter(|model| model.digest == digest);
        same.map(|model| model.name.clone()).collect()
    }

    /// Whether a model that is loaded can generate.
    pub(crate) fn can_chat(&self, loaded: &Loaded) -> bool {
        let seen = self.seen.borrow();
        let is_it = |model: &&Installed| model.digest == loaded.digest || model.name == loaded.name;
        seen.models.iter().find(is_it).is_some_and(Installed::can_chat)
    }

    /// Waits until Ollama is there that was not.
    pub(crate) async fn returned(&self) {
        self.returned.notified().await;
    }

    /// The metrics label of a model: its name if it is installed.
    pub(crate) fn label(&self, name: &str) -> Arc<str> {
        let seen = self.seen.borrow();
        resolve::find(&seen.models, name).map_or(OTHER, |model| model.name.as_str()).into()
    }

    /// Looks now, unless somebody began to after this was called.
    ///
    /// # Errors
    /// What stands between the host and Ollama.
    pub(crate) async fn refresh(&self) -> Result<Arc<[Installed]>, LlmError> {
        let asked_at = Instant::now();
        let _only_one = self.looking.lock().await;
        if self.seen.borrow().since.is_none_or(|since| since < asked_at) {
            let began_at = Instant::now();
            let probed = probe::inventory(&self.client).await;
            self.take_in(probed, Some(began_at));
        }
        let seen = self.seen.borrow();
        match &seen.state {
            State::Down(error) => Err(error.clone()),
            State::Up { .. } | State::Unknown => Ok(Arc::clone(&seen.models)),
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

    /// Looks again and again until `stop`. While Ollama is away only the clock decides when: calls
    /// that fail, however many, must not make it ask faster.
    pub(crate) async fn watch_over(&self, poll_every: Duration, stop: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = self.refresh() => looked,
            };
            failures = if looked.is_ok() { 0 } else { failures.saturating_add(1) };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified(), if failures == 0 => {}
                () = tokio::time::sleep(pause(failures, poll_every)) => {}
            }
        }
    }

    fn take_in(&self, probed: Result<Probed, LlmError>, since: Option<Instant>) {
        let up = probed.is_ok();
        if let Ok(probed) = &probed {
            self.metrics.upstream.version(&probed.version);
        }
        let mut turned = false;
        self.seen.send_modify(|seen| {
            turned = match (&seen.state, up) {
                (State::Unknown, _) | (State::Up { .. }, false) | (State::Down(_), true) => true,
                (State::Up { .. }, true) | (State::Down(_), false) => false,
            };
            seen.since = since.or(seen.since);
            seen.state = match probed {
                Ok(Probed { version, models }) => {
                    seen.models = models.into();
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

    fn announce(&self, up: bool) {
        self.metrics.upstream.up(up);
        match self.health() {
            Health::Up { version, models } => {
                let url = self.client.shown();
                tracing::info!(url, version, models, "Ollama answers");
            }
            Health::Down { reason } => tracing::warn!("{reason}; jobs that need it wait"),
            Health::Unknown => {}
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

    #[test]
    fn a_healthy_ollama_is_asked_rarely_and_a_lost_one_less_and_less() {
        let seconds = |failures| pause(failures, Duration::from_secs(30)).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 40, u32::MAX].map(seconds),
            [30, 1, 2, 4, 8, 16, 30, 30, 30]
        );
    }
}
