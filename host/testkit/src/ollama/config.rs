//! What the simulated server has installed, and how fast it is.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::clock::Pace;
use super::reply::Reply;

/// Where upstream finds its cloud.
const CLOUD: &str = "https://ollama.com:443";

/// A simulated Ollama, before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What `/api/version` says. Clients parse it, so it must look like one of Ollama's own.
    pub version: String,
    /// The models that are installed at first.
    pub models: Vec<Model>,
    /// What Ollama's cloud has, by names without `:cloud`; none where it is switched off, as with `OLLAMA_NO_CLOUD`. It
    /// answers what is asked of those that are [`Model::stub`]s, or by names that say so, installed or not.
    pub cloud: Option<Vec<Model>>,
    /// Whether simulated work takes its time.
    pub pace: Pace,
    /// How long a model stays loaded when the request does not say; Ollama's `OLLAMA_KEEP_ALIVE`.
    pub keep_alive: Duration,
    /// Context of a request without `num_ctx`, in tokens; Ollama's `OLLAMA_CONTEXT_LENGTH`. A model that was trained
    /// with less gets less.
    pub context_length: u64,
    /// Length of a free-text answer, in words.
    pub answer_words: usize,
    /// Replies for the first requests, instead of the usual answers.
    pub replies: Vec<Reply>,
    /// How many of the latest requests the log keeps. The simulator may run for weeks.
    pub log_entries_max: usize,
}

/// What a model can do. `/api/show` lists it, and requests that need more are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Chat and generate.
    Completion,
    /// Accepts `tools`, and calls one that the prompt names.
    Tools,
    /// Accepts `think`, and then thinks aloud first.
    Thinking,
    /// Embeddings.
    Embedding,
}

/// One installed model.
#[derive(Debug, Clone)]
pub struct Model {
    /// As `ollama list` shows it, tag included: `qwen3:4b`.
    pub name: String,
    /// SHA-256 of the manifest, hex without prefix: what `/api/tags` shows. A copy has the same manifest.
    pub digest: String,
    /// SHA-256 of the weights, hex without prefix: models that share it share the runner.
    pub blob: String,
    /// Bytes on disk and, for simplicity, in memory.
    pub size_bytes: u64,
    /// `qwen3`, the architecture.
    pub family: String,
    /// `4.0B`.
    pub parameter_size: String,
    /// `Q4_K_M`.
    pub quantization: String,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Context it was trained with, in tokens: no request gets more.
    pub context_length: u64,
    /// Numbers in one embedding.
    pub embedding_length: usize,
    /// From request to ready, when another model is loaded or none.
    pub load_time: Duration,
    /// Generation speed in tokens per second; none is as fast as it goes.
    pub decode_tokens_per_s: Option<f64>,
    /// Prompt speed in tokens per second; none is as fast as it goes.
    pub prefill_tokens_per_s: Option<f64>,
    /// The `PARAMETER`s of its Modelfile: options of the requests that name no others.
    pub parameters: Map<String, Value>,
    /// Where it answers, if that is elsewhere: it is never loaded, and its answers need no turn.
    pub remote: Option<Remote>,
}

/// The model elsewhere that an installed one stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name there.
    pub model: String,
    /// Where that is.
    pub host: String,
}

impl Config {
    /// A small home server: two chat models of which one fits at a time, and an embedder.
    #[must_use]
    pub fn demo() -> Self {
        let qwen = Model {
            size_bytes: 2_497_293_931,
            context_length: 262_144,
            embedding_length: 2560,
            capabilities: vec![Capability::Completion, Capability::Tools, Capability::Thinking],
            ..Model::chat("qwen3:4b")
        };
        let llama = Model {
            size_bytes: 2_019_393_189,
            family: "llama".to_owned(),
            parameter_size: "3.2B".to_owned(),
            context_length: 131_072,
            embedding_length: 3072,
            load_time: Duration::from_millis(1200),
            decode_tokens_per_s: Some(42.0),
            ..Model::chat("llama3.2:3b")
        };
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            version: "0.33.0".to_owned(),
            models: vec![qwen, llama, Model::embedder("nomic-embed-text:latest")],
            cloud: None,
            pace: Pace::Real,
            keep_alive: Duration::from_secs(300),
            context_length: 4096,
            answer_words: 60,
            replies: Vec::new(),
            log_entries_max: 256,
        }
    }

    /// The same models for tests: nothing takes time, the log keeps all that a test may ask for.
    #[must_use]
    pub fn instant() -> Self {
        let mut config = Self::demo();
        config.log_entries_max = 10_000;
        for model in &mut config.models {
            model.load_time = Duration::ZERO;
            model.decode_tokens_per_s = None;
            model.prefill_tokens_per_s = None;
        }
        config
    }
}

impl Model {
    /// A chat model with the figures of a 4B model on a small desktop: 1.5 s to load, 35 tokens per second.
    #[must_use]
    pub fn chat(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            digest: sha256_hex("manifest", name),
            blob: sha256_hex("weights", name),
            size_bytes: 2_500_000_000,
            family: "qwen3".to_owned(),
            parameter_size: "4.0B".to_owned(),
            quantization: "Q4_K_M".to_owned(),
            capabilities: vec![Capability::Completion, Capability::Tools],
            context_length: 32_768,
            embedding_length: 2048,
            load_time: Duration::from_millis(1500),
            decode_tokens_per_s: Some(35.0),
            prefill_tokens_per_s: Some(900.0),
            parameters: Map::new(),
            remote: None,
        }
    }

    /// What is installed for a model of the cloud, as `ollama pull` and `/api/create` make it: its name, and no weights.
    #[must_use]
    pub fn stub(name: &str, remote: &str) -> Self {
        let capabilities = vec![Capability::Completion, Capability::Tools, Capability::Thinking];
        let there = Self { size_bytes: 384, capabilities, ..Self::chat(remote) }.in_the_cloud();
        Self { remote: there.remote.clone(), ..there.other(name) }
    }

    /// An embedding model with the figures of `nomic-embed-text`.
    #[must_use]
    pub fn embedder(name: &str) -> Self {
        Self {
            size_bytes: 274_302_450,
            family: "nomic-bert".to_owned(),
            parameter_size: "137M".to_owned(),
            quantization: "F16".to_owned(),
            capabilities: vec![Capability::Embedding],
            context_length: 2048,
            embedding_length: 768,
            load_time: Duration::from_millis(300),
            decode_tokens_per_s: None,
            prefill_tokens_per_s: Some(5000.0),
            ..Self::chat(name)
        }
    }

    /// The same model, answering elsewhere.
    pub(super) fn in_the_cloud(&self) -> Self {
        let remote = Remote { model: self.name.clone(), host: CLOUD.to_owned() };
        Self { load_time: Duration::ZERO, remote: Some(remote), ..self.clone() }
    }

    /// The same model under another name, as `ollama cp` makes it: both share one runner.
    #[must_use]
    pub fn alias(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// The same weights with these parameters over its own, as `/api/create` makes it: it shares the runner of those
    /// requests that come to the same options.
    pub(super) fn derived(&self, name: &str, parameters: Map<String, Value>) -> Self {
        let mut model = self.alias(name);
        model.parameters.extend(parameters);
        let parameters = Value::from(model.parameters.clone());
        let manifest = format!("{name} of {} with {parameters}", model.blob);
        model.digest = sha256_hex("manifest", &manifest);
        model
    }

    /// A model just like this one, with weights of its own.
    pub(super) fn other(&self, name: &str) -> Self {
        let digest = sha256_hex("manifest", name);
        Self { blob: sha256_hex("weights", name), digest, ..self.alias(name) }
    }

    /// A model just like this one, with these weights.
    pub(super) fn of_blob(&self, name: &str, blob: String) -> Self {
        let digest = sha256_hex("manifest", &format!("{name} of {blob}"));
        Self { blob, digest, ..self.alias(name) }
    }

    pub(super) fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

/// What `tokens` take at `tokens_per_s`.
pub(super) fn time_for(tokens: u64, tokens_per_s: Option<f64>) -> Duration {
    let Some(rate) = tokens_per_s else {
        return Duration::ZERO;
    };
    Duration::try_from_secs_f64(tokens as f64 / rate).unwrap_or(Duration::ZERO)
}

fn sha256_hex(of: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("roughneck simulated {of} of {name}"));
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}
