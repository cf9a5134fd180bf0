//! The Ollama behind the lane, and the models that jobs ask for.

use std::{collections::BTreeSet, sync::Arc};

use roughneck_engine::Bells;
use roughneck_jobs::{
    model::Health,
    ports::{backlog::Nobody, budgets::Unlimited, llm::Llm as _},
};
use roughneck_llm::Lane;
use serde::Deserialize;

use super::finding::Finding;
use crate::{client::Client, config::Config, system::System};

/// Asks Ollama how it is, and whether it has the models: those of the plugins and those that aliases
/// stand for.
pub(super) async fn look(
    config: &Config,
    lane: &Lane,
    models: &BTreeSet<String>,
    host: Option<&Client>,
) -> Vec<Finding> {
    let version = match lane.look().await {
        Health::Up { version, models } => format!("version {version} with {models} models"),
        Health::OnTrial { reason } | Health::Down { reason } => {
            return vec![Finding::error("ollama", reason)];
        }
        // It was asked just now.
        Health::Unknown => "it says nothing about itself".to_owned(),
    };
    let mut findings = vec![match host {
        Some(host) => seen_by(host, version).await,
        None => Finding::ok("ollama", version),
    }];
    let wanted: BTreeSet<&String> = models.iter().chain(config.ollama.aliases.keys()).collect();
    for model in wanted {
        findings.push(match lane.resolve(model).await {
            Ok(found) if found.name == *model => {
                Finding::ok("model", format!("`{model}` is there"))
            }
            Ok(found) => Finding::ok("model", format!("`{model}` is {}", found.name)),
            Err(error) => Finding::error("model", format!("`{model}`: {error}")),
        });
    }
    findings.extend(lane.hidden().into_iter().map(|model| {
        let found = format!("`{model}` is installed, but an alias has its name");
        Finding::warn("model", found, "give the alias under [ollama] another name")
    }));
    findings
}

/// What the host says of its Ollama, which says of itself what `version` does: only those whose work it does
/// know whether it does any.
async fn seen_by(host: &Client, version: String) -> Finding {
    match host.get("/healthz").await.and_then(|answer| answer.parse::<Seen>()) {
        Ok(Seen { ollama: Ollama { reason: Some(reason) } }) => Finding::error("ollama", reason),
        Ok(Seen { ollama: Ollama { reason: None } }) => Finding::ok("ollama", version),
        Err(error) => Finding::error("ollama", format!("{error:#}")),
    }
}

/// As `GET /healthz` tells it.
#[derive(Deserialize)]
struct Seen {
    ollama: Ollama,
}

#[derive(Deserialize)]
struct Ollama {
    /// What is wrong with it.
    reason: Option<String>,
}

/// The lane that asks. It is no host's, and may be one beside a host: it sends nothing but questions.
///
/// # Errors
/// If the configuration of Ollama cannot be used.
pub(super) fn lane(config: &Config) -> anyhow::Result<Arc<Lane>> {
    let ports = roughneck_llm::Ports {
        bell: Arc::new(Bells::default()),
        clock: Arc::new(System),
        budgets: Arc::new(Unlimited),
        backlog: Arc::new(Nobody),
    };
    Ok(Lane::to_look(config.ollama.lane()?, ports)?)
}
