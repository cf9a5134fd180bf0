//! The loaded plugins, as the catalog that the rest of the host reads.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use roughneck_capabilities::Ports;
use roughneck_jobs::{
    grant::Grant,
    ports::catalog::{Catalog, Plugin, RefusedPlugin, Served},
};

use crate::{
    bindings::JobAllPre, guest::Guest, metrics::Metrics, refused::Refused, ticker::Ticker,
};

/// A plugin that passed its gates.
pub(crate) struct Ready {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) pre: JobAllPre<Guest>,
    pub(crate) grant: Arc<Grant>,
}

/// The plugins of this host, and the sandbox that runs them.
pub struct Plugins {
    ready: BTreeMap<String, Ready>,
    /// By name and alias.
    kinds: HashMap<String, Arc<Served>>,
    host_kinds: BTreeSet<String>,
    refused: Vec<RefusedPlugin>,
    pub(crate) ticker: Ticker,
    pub(crate) ports: Arc<Ports>,
    pub(crate) metrics: Metrics,
}

impl Plugins {
    pub(crate) fn new(
        ticker: Ticker,
        ports: Arc<Ports>,
        host_kinds: BTreeSet<String>,
        metrics: Metrics,
    ) -> Self {
        Self {
            ready: BTreeMap::new(),
            kinds: HashMap::new(),
            host_kinds,
            refused: Vec::new(),
            ticker,
            ports,
            metrics,
        }
    }

    /// Adds the sandbox's metrics to what operators see.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
    }

    /// The plugin of this name.
    pub(crate) fn ready(&self, name: &str) -> Option<&Ready> {
        self.ready.get(name)
    }

    pub(crate) fn digests_hex(&self) -> Vec<String> {
        let digests = self.ready.values().map(|ready| ready.plugin.digest.as_str());
        digests.map(|digest| digest.trim_start_matches("sha256:").to_owned()).collect()
    }

    /// Takes a plugin in, unless its name or a kind of it is taken. What comes first in the order of the
    /// configured folders, and within one by the name of the plugin's folder, keeps it: the same at
    /// every start. It is no protection against who may write to those folders, and can put another
    /// component in place of any.
    pub(crate) fn admit(&mut self, ready: Ready) -> Result<(), Refused> {
        let manifest = &ready.plugin.manifest;
        if self.ready.contains_key(&manifest.name) {
            let sentence = format!(
                "another folder, which is read before this one, already holds a plugin named `{}`; remove one of them",
                manifest.name
            );
            return Err(Refused::new("plugin-twice", sentence));
        }
        for kind in &manifest.kinds {
            for name in kind.aliases.iter().chain([&kind.name]) {
                if self.host_kinds.contains(name) {
                    let sentence = format!(
                        "the host runs the kind `{name}` itself; rename it in the plugin's manifest"
                    );
                    return Err(Refused::new("kind-twice", sentence));
                }
                if let Some(other) = self.kinds.get(name) {
                    let sentence = format!(
                        "the kind `{name}` is already served by the plugin `{}`; rename it in one of them",
                        other.plugin.manifest.name
                    );
                    return Err(Refused::new("kind-twice", sentence));
                }
            }
        }
        for kind in &manifest.kinds {
            let plugin = Arc::clone(&ready.plugin);
            let served = Arc::new(Served { plugin, kind: kind.clone() });
            for name in kind.aliases.iter().chain([&kind.name]) {
                self.kinds.insert(name.clone(), Arc::clone(&served));
            }
        }
        self.ready.insert(manifest.name.clone(), ready);
        Ok(())
    }

    pub(crate) fn refuse(&mut self, refused: RefusedPlugin) {
        tracing::warn!(
            plugin = refused.name,
            code = refused.code,
            "plugin {} refused: {}",
            refused.name,
            refused.message
        );
        self.metrics.plugin_refused();
        self.refused.push(refused);
    }
}

impl Catalog for Plugins {
    fn served(&self, kind: &str) -> Option<Arc<Served>> {
        self.kinds.get(kind).cloned()
    }

    fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.ready.values().map(|ready| Arc::clone(&ready.plugin)).collect()
    }

    fn refused(&self) -> Vec<RefusedPlugin> {
        self.refused.clone()
    }
}
