//! What the handlers share.

use std::{collections::BTreeSet, sync::Arc};

use prometheus_client::registry::Registry;
use roughneck_jobs::{
    class::{Slots, default_slots},
    clock::{Clock, Entropy},
    ports::{
        budgets::Budgets, catalog::Catalog, children::Children, control::Control, flows::Flows,
        gateway::Gateway, llm::Llm, outbox::Outbox, schedules::Schedules, store::Store,
    },
};
use tokio::sync::watch;

use crate::{body::Bodies, metrics::Metrics};

/// So many of the largest bodies may be read at the same time, and any number of smaller ones that hold no more.
const LARGEST_BODIES_AT_ONCE: usize = 8;

/// The rest of the host, as this crate sees it.
pub struct Ports {
    /// The queue.
    pub store: Arc<dyn Store>,
    /// The flows of the queue.
    pub flows: Arc<dyn Flows>,
    /// The children of jobs.
    pub children: Arc<dyn Children>,
    /// The webhook deliveries.
    pub outbox: Arc<dyn Outbox>,
    /// The schedules that were made here, and the memory of all.
    pub schedules: Arc<dyn Schedules>,
    /// The plugins.
    pub catalog: Arc<dyn Catalog>,
    /// The engine.
    pub control: Arc<dyn Control>,
    /// The path to Ollama.
    pub llm: Arc<dyn Llm>,
    /// Ollama's surface.
    pub gateway: Arc<dyn Gateway>,
    /// Who may still use how many tokens.
    pub budgets: Arc<dyn Budgets>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The dice, for the ids of jobs.
    pub entropy: Arc<dyn Entropy>,
}

/// What the operator may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The host's own version, shown at `/` and `/healthz`.
    pub version: String,
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Largest call to Ollama's surface, in bytes: pictures travel in it.
    pub call_bytes_max: usize,
    /// Clients that may be connected at once.
    pub connections_max: usize,
    /// Names besides `localhost` and IP addresses under which the host may be called, without a port.
    pub host_names: Vec<String>,
    /// The classes and how many of their jobs may run at once.
    pub slots: Vec<Slots>,
    /// The callback targets that submissions may name.
    pub callback_targets: BTreeSet<String>,
    /// Whether callback URLs may lead to private addresses.
    pub callbacks_private: bool,
    /// How long open requests may take to end after the shutdown began, in milliseconds.
    pub stop_grace_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            body_bytes_max: 8 << 20,
            call_bytes_max: 64 << 20,
            connections_max: 1024,
            host_names: Vec::new(),
            slots: default_slots(),
            callback_targets: BTreeSet::new(),
            callbacks_private: false,
            stop_grace_ms: 5_000,
        }
    }
}

/// The HTTP surface with everything it needs.
pub struct App {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
    /// Those that are being read.
    pub(crate) bodies: Bodies,
    /// Turns true once the server stops; open event streams end then.
    closing: watch::Sender<bool>,
}

impl App {
    /// `registry` is what `GET /metrics` shows; `metrics` are this crate's own, registered there.
    #[must_use]
    pub fn new(
        ports: Ports,
        settings: Settings,
        registry: Arc<Registry>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let largest = settings.body_bytes_max.max(settings.call_bytes_max);
        let bodies = Bodies::new(largest.saturating_mul(LARGEST_BODIES_AT_ONCE));
        let connections_max = i64::try_from(settings.connections_max).unwrap_or(i64::MAX);
        metrics.connections_limit.set(connections_max);
        let closing = watch::Sender::new(false);
        Arc::new(Self { ports, settings, registry, metrics, bodies, closing })
    }

    /// The name under which jobs of this kind are kept: its present one. A kind that is gone may still
    /// have jobs.
    pub(crate) fn present_name(&self, kind: &str) -> String {
        let served = self.ports.catalog.served(kind);
        served.map_or_else(|| kind.to_owned(), |served| served.kind.name.clone())
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }
}
