//! The Ollama of the demo: the real one if it answers, or a simulated one that says so.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{StatusCode, header::VIA};
use roughneck_jobs::ports::gateway;
use roughneck_testkit::ollama::{Config, FakeOllama};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(2);

pub(super) enum Upstream {
    Real { url: String, version: String, models: usize },
    Simulated { fake: FakeOllama, url: String, instead_of: String },
}

impl Upstream {
    /// Looks for a real Ollama with at least one model, where its own clients would.
    pub(super) async fn find() -> Result<Self> {
        let url = crate::config::Ollama::default().url()?;
        let instead_of = match look_at(&url).await {
            Ok((version, models)) if models > 0 => return Ok(Self::Real { url, version, models }),
            Ok(_) => format!("the Ollama at {url} has no model (try `ollama pull qwen3:4b`)"),
            Err(error) if is_refused_by_a_host(&error) => {
                format!("a roughneck host answers at {url}, and a host needs an Ollama")
            }
            Err(_) => format!("no Ollama answers at {url}"),
        };
        let fake =
            FakeOllama::start(Config::demo()).await.context("no port is free for the simulator")?;
        Ok(Self::Simulated { url: fake.url(), fake, instead_of })
    }

    pub(super) fn url(&self) -> &str {
        match self {
            Self::Real { url, .. } | Self::Simulated { url, .. } => url,
        }
    }

    pub(super) fn is_simulated(&self) -> bool {
        match self {
            Self::Real { .. } => false,
            Self::Simulated { .. } => true,
        }
    }

    pub(super) fn story(&self) -> String {
        match self {
            Self::Real { url, version, models } => {
                format!("Ollama {version} at {url} with {models} models")
            }
            Self::Simulated { url, instead_of, .. } => format!(
                "{instead_of}, so a SIMULATED one runs at {url}:\nno model thinks here, its answers are made up from the text"
            ),
        }
    }

    pub(super) async fn stop(self) {
        match self {
            Self::Real { .. } => {}
            Self::Simulated { fake, .. } => fake.shutdown().await,
        }
    }
}

/// Whether the answer is that of a host, where `OLLAMA_HOST` is set for its clients. The demo's own host would be
/// refused by it, and wait for ever.
fn is_refused_by_a_host(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<reqwest::Error>();
    error.and_then(reqwest::Error::status) == Some(StatusCode::LOOP_DETECTED)
}

/// Version and number of models of the Ollama at `url`, asked as a host asks.
async fn look_at(url: &str) -> Result<(String, usize)> {
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let get = async |path: &str| -> Result<Value> {
        let asked = client.get(format!("{url}{path}")).header(VIA, gateway::VIA);
        let response = asked.send().await?.error_for_status()?;
        Ok(response.json().await?)
    };
    let version = get("/api/version").await?;
    let tags = get("/api/tags").await?;
    let version = version["version"].as_str().context("no version")?.to_owned();
    Ok((version, tags["models"].as_array().map_or(0, Vec::len)))
}
