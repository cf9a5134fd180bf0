//! The plugins, as the host sees them or as it would see them.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use anyhow::Result;
use async_trait::async_trait;
use roughneck_capabilities::egress::Egress;
use roughneck_jobs::{
    ports::{
        catalog::Catalog as _,
        kv::{Key, KeyValue, Written},
        store::StoreError,
    },
    run::Run,
};
use roughneck_llm::Lane;
use roughneck_sandbox::Plugins;
use serde::Deserialize;

use super::finding::Finding;
use crate::{
    client::Client,
    config::Config,
    native,
    strangers::{self, Installed},
    system::System,
};

/// What was found.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// The models that their kinds ask for.
    pub(super) models: BTreeSet<String>,
}

/// As `GET /plugins` tells it.
#[derive(Deserialize)]
struct Seen {
    plugins: Vec<Plugin>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Plugin {
    name: String,
    kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    name: String,
    aliases: Vec<String>,
    model: Option<Model>,
}

#[derive(Deserialize)]
struct Model {
    tag: String,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    message: String,
}

/// The state of plugins that are loaded and never run.
struct NoState;

#[async_trait]
impl KeyValue for NoState {
    async fn get(&self, _: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn set(&self, _: Run, _: Key, _: Vec<u8>, _: u64) -> Result<Written, StoreError> {
        Err(StoreError::Closed)
    }

    async fn delete(&self, _: Run, _: Key) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
}

/// Asks the host, or loads the plugins as a host would where none runs.
pub(super) async fn look(config: &Config, host: Option<&Client>, lane: &Arc<Lane>) -> Found {
    let seen = match host {
        Some(host) => host.get("/plugins").await.and_then(|answer| answer.parse::<Seen>()),
        None => load(config, lane).await,
    };
    match seen {
        Ok(seen) => {
            let mut findings = findings(&seen, &config.plugins());
            findings.extend(odd(config, &seen));
            Found { findings, models: models(&seen) }
        }
        Err(error) => {
            let findings = vec![Finding::error("plugins", format!("{error:#}"))];
            Found { findings, models: BTreeSet::new() }
        }
    }
}

/// Nothing that is compiled here is kept.
async fn load(config: &Config, lane: &Arc<Lane>) -> Result<Seen> {
    let ports = roughneck_capabilities::Ports {
        llm: Arc::clone(lane) as _,
        kv: Arc::new(NoState),
        egress: Egress::new()?,
        clock: Arc::new(System),
    };
    let dirs: Vec<PathBuf> = config.plugins().into_iter().filter(|dir| dir.exists()).collect();
    let natives = [native::ollama_call::native(Arc::clone(lane) as _)?];
    let sandbox = roughneck_sandbox::Config {
        dirs,
        cache_dir: None,
        grants: config.grants.clone(),
        classes: config.classes.durable()?,
        host_plugins: native::plugin_names(&natives),
        host_kinds: native::kind_names(&natives),
    };
    let loaded = tokio::task::spawn_blocking(move || Plugins::load(sandbox, ports)).await??;
    let plugins = loaded.plugins();
    let plugins = plugins.iter().map(|plugin| Plugin {
        name: plugin.manifest.name.clone(),
        kinds: plugin
            .manifest
            .kinds
            .iter()
            .map(|kind| Kind {
                name: kind.name.clone(),
                aliases: kind.aliases.clone(),
                model: kind.model.as_ref().map(|model| Model { tag: model.tag.clone() }),
            })
            .collect(),
    });
    let refused = loaded.refused().into_iter();
    let refused = refused.map(|plugin| Refused { name: plugin.name, message: plugin.message });
    Ok(Seen { plugins: plugins.collect(), refused: refused.collect() })
}

fn findings(seen: &Seen, folders: &[PathBuf]) -> Vec<Finding> {
    let names: Vec<&str> = seen.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    let folders: Vec<String> = folders.iter().map(|dir| dir.display().to_string()).collect();
    let mut findings = vec![if !names.is_empty() {
        Finding::ok("plugins", names.join(", "))
    } else if seen.refused.is_empty() {
        let advice =
            format!("put one into {}, or name its folder with --plugins", folders.join(" or "));
        Finding::warn("plugins", "none is installed", advice)
    } else {
        Finding::warn("plugins", "none is loaded", "mend those that are refused")
    }];
    findings.extend(seen.refused.iter().map(|refused| {
        let found = format!("`{}` is refused", refused.name);
        Finding::warn("plugin", found, refused.message.clone())
    }));
    findings
}

fn warned(sentence: String) -> Finding {
    Finding::warn("config", sentence, "correct it, or install what it is for")
}

/// Names in the configuration that stand for nothing here.
fn odd(config: &Config, seen: &Seen) -> Vec<Finding> {
    let kinds = seen.plugins.iter().flat_map(|plugin| &plugin.kinds);
    let installed = Installed {
        plugins: seen.plugins.iter().map(|plugin| plugin.name.clone()).collect(),
        kinds: kinds.flat_map(|kind| kind.aliases.iter().chain([&kind.name])).cloned().collect(),
        refused: seen.refused.iter().map(|refused| refused.name.clone()).collect(),
    };
    let told = [strangers::grants(config, &installed), strangers::budgets(config, &installed)];
    told.into_iter()
        .flat_map(|told| match told {
            Ok(sentences) => sentences.into_iter().map(warned).collect(),
            Err(error) => vec![Finding::error("config", format!("{error:#}"))],
        })
        .collect()
}

fn models(seen: &Seen) -> BTreeSet<String> {
    let kinds = seen.plugins.iter().flat_map(|plugin| &plugin.kinds);
    kinds.filter_map(|kind| kind.model.as_ref()).map(|model| model.tag.clone()).collect()
}
