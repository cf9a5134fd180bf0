//! What Ollama says about itself: its version, what is installed, how that is made, what is loaded.

use std::time::Duration;

use jiff::Timestamp;
use roughneck_jobs::{
    clock::Millis,
    model::{LlmError, Site},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{broken::clipped, client::Client, model_name, runner_key::RunnerKey};

/// What a look at Ollama has found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) version: String,
    pub(crate) models: Vec<Installed>,
}

/// A model of `/api/tags`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Installed {
    pub(crate) name: String,
    pub(crate) digest: String,
    /// RFC 3339 with the zone of Ollama's machine.
    modified_at: String,
    details: Details,
    /// Absent before Ollama 0.30 or so.
    pub(crate) capabilities: Option<Vec<String>>,
    /// Set for models that run in Ollama's cloud.
    remote_host: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    /// `gguf`, or `safetensors` for those that run by MLX.
    pub(crate) format: String,
    pub(crate) family: String,
    pub(crate) families: Option<Vec<String>>,
}

/// What `/api/show` says of a model.
#[derive(Debug, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    pub(crate) modelfile: String,
    /// A line for each.
    #[serde(default)]
    pub(crate) parameters: String,
    #[serde(default)]
    pub(crate) details: Details,
    /// What the file of its weights says of itself.
    #[serde(default)]
    pub(crate) model_info: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) capabilities: Option<Vec<String>>,
}

/// A model of `/api/ps`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Loaded {
    /// The one that it was loaded by, which may be that of a stand-in.
    pub(crate) name: String,
    pub(crate) digest: String,
    /// Tokens; may be less than was asked for, when memory was short.
    pub(crate) context_length: Option<u64>,
    /// The name of the model itself. [`crate::inventory::Inventory::running`] knows it.
    #[serde(skip)]
    pub(crate) model: String,
    /// What a request to the model by its name asks for if it names no options, as far as the host has learnt it by now.
    #[serde(skip)]
    pub(crate) key: RunnerKey,
}

impl Loaded {
    /// Whether Ollama lists the same that it listed `earlier`, whatever the host has learnt or forgotten of it since.
    pub(crate) fn is_as_listed(&self, earlier: &Self) -> bool {
        self.name == earlier.name
            && self.digest == earlier.digest
            && self.context_length == earlier.context_length
    }
}

/// A model of `/api/ps`, with what changes while it is loaded.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Running {
    #[serde(flatten)]
    pub(crate) loaded: Loaded,
    /// Bytes in memory of whatever kind.
    #[serde(default)]
    pub(crate) size: u64,
    /// Those in the memory of the GPU.
    #[serde(default)]
    pub(crate) size_vram: u64,
    /// RFC 3339 with the zone of Ollama's machine.
    #[serde(default)]
    expires_at: String,
}

/// A model that stays for ever expires in 292 years, which is as long as Go counts.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Running {
    /// When it is unloaded unless somebody uses it.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.parse().ok()
    }

    /// How much longer it stays unless somebody uses it.
    pub(crate) fn left(&self, now: Millis) -> Option<Duration> {
        let left_ms = self.expires_at()?.as_millisecond().saturating_sub(now.0);
        Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))
    }
}

impl Installed {
    /// When it was pulled or made.
    pub(crate) fn modified_at(&self) -> Option<Timestamp> {
        self.modified_at.parse().ok()
    }

    /// Whether it can chat. Without capabilities the name and the family must do.
    pub(crate) fn can_chat(&self) -> bool {
        if let Some(capabilities) = &self.capabilities {
            return capabilities.iter().any(|capability| capability == "completion");
        }
        let name = self.name.to_lowercase();
        let is_embedder = ["embed", "bge-", "minilm", "gte-", "e5-", "rerank"];
        !is_embedder.iter().any(|mark| name.contains(mark)) && !self.details.family.contains("bert")
    }

    /// Where it answers: what is installed may be no more than the name of a model elsewhere.
    pub(crate) fn site(&self) -> Site {
        if self.remote_host.as_ref().is_some_and(|host| !host.is_empty()) {
            return Site::Cloud;
        }
        model_name::site(&self.name).unwrap_or(Site::Here)
    }
}

/// Asks for the version and the installed models.
pub(crate) async fn look(client: &Client) -> Result<Found, LlmError> {
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    #[derive(Deserialize)]
    struct Tags {
        models: Option<Vec<Installed>>,
    }
    let version: Version = client.get("/api/version").await?;
    let tags: Tags = client.get("/api/tags").await?;
    Ok(Found { version: version.version, models: tags.models.unwrap_or_default() })
}

/// Asks how a model is made.
///
/// # Errors
/// What stands between the host and Ollama, and its refusal.
pub(crate) async fn show(client: &Client, model: &str) -> Result<Shown, LlmError> {
    let body = client.ask("POST", "/api/show", &json!({"model": model})).await?;
    serde_json::from_slice(&body).map_err(|error| {
        LlmError::BrokenOff(clipped(&format!("/api/show does not answer as Ollama does: {error}")))
    })
}

/// Asks for the loaded models and all that Ollama says of them. [`crate::inventory::Inventory::running`] knows what of it
/// stands in for another one, and what the others are made of.
pub(crate) async fn running(client: &Client) -> Result<Vec<Running>, LlmError> {
    #[derive(Deserialize)]
    struct Ps {
        models: Option<Vec<Running>>,
    }
    let ps: Ps = client.get("/api/ps").await?;
    Ok(ps.models.unwrap_or_default())
}

/// What is loaded by the defaults of a model of which nothing but this is known.
#[cfg(test)]
pub(crate) fn loaded(name: &str, digest: &str, context_length: Option<u64>) -> Loaded {
    let key = RunnerKey::of(&crate::resolve::named(name, digest), None, &Map::new(), None);
    let [name, model] = [name, name].map(str::to_owned);
    Loaded { name, digest: digest.to_owned(), context_length, model, key }
}

#[cfg(test)]
pub(crate) fn installed(json: serde_json::Value) -> Vec<Installed> {
    serde_json::from_value(json).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn embedders_and_cloud_models_are_told_from_chat_models() {
        let table = installed(json!([
            {"name": "qwen3:4b", "capabilities": ["completion", "tools"]},
            {"name": "qwen3:4b"},
            {"name": "all-minilm:latest"},
            {"name": "something", "details": {"family": "nomic-bert"}},
            {"name": "chatty-embed", "capabilities": ["completion"]},
            {"name": "plain", "capabilities": ["embedding"]},
        ]));
        let can_chat: Vec<bool> = table.iter().map(Installed::can_chat).collect();
        assert_eq!(can_chat, [true, true, false, false, true, false]);

        let table = installed(json!([
            {"name": "big:120b-cloud"},
            {"name": "stub", "remote_host": "https://ollama.com:443"},
            {"name": "cloudy:4b", "remote_host": ""},
        ]));
        let sites: Vec<Site> = table.iter().map(Installed::site).collect();
        assert_eq!(sites, [Site::Cloud, Site::Cloud, Site::Here]);
    }
}
