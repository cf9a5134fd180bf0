//! The manifest, `plugin.toml`: what a plugin is, serves, wants and must stay within.

pub mod contract;
mod gates;
mod limits;
pub mod patterns;
mod read;
pub mod text;
mod wishes;
mod written;

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    class::Class,
    input_key::{Concurrency, Unique},
    priority::Priority,
    rate::Rate,
    retry::RetryPolicy,
    schedule::Schedule,
    schedule::ScheduleError,
    strict::TomlError,
};

pub use contract::CONTRACT;
pub use limits::OUTPUT_BYTES_MAX;
pub use patterns::NotPatterns;
pub use read::parse;

/// The manifest version this host reads.
pub const VERSION: i64 = 1;

/// A manifest, checked, with every default filled in.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Identity of the plugin: `^[a-z][a-z0-9-]{1,62}$`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// File name of the component, beside the manifest.
    pub source: String,
    /// The kinds it serves; at least one.
    pub kinds: Vec<Kind>,
    /// What it wants to do: the second gate.
    pub capabilities: Capabilities,
    /// What it must stay within.
    pub limits: Limits,
    /// Its schedules, the disabled ones left out.
    pub schedules: Vec<Arc<Schedule>>,
}

/// One kind of job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// Older names that still work.
    pub aliases: Vec<String>,
    /// One line for people.
    pub description: String,
    /// The class its jobs compete in.
    pub class: Class,
    /// The priority of a submission that names none.
    pub priority: Priority,
    /// Wall-clock limit of an attempt, in milliseconds.
    pub timeout_ms: u64,
    /// When a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// The model it will ask for, if it says so.
    pub model: Option<ModelHint>,
    /// What of its jobs there is only one.
    pub unique: Option<Unique>,
    /// How many of its jobs run at once, by a key of their input.
    pub concurrency: Option<Concurrency>,
    /// How many of its jobs begin in a while.
    pub rate: Option<Rate>,
}

/// The model a kind will ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelHint {
    /// A model's name or an alias of the operator.
    pub tag: String,
    /// The context length of all its calls, in tokens, so that two kinds of one model do not make
    /// Ollama reload it.
    pub num_ctx: Option<u32>,
}

/// What a plugin wants to do. Context, progress and log need no wish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Capabilities {
    /// Language models.
    pub llm: Option<LlmWish>,
    /// Outgoing HTTP.
    pub http: Option<HttpWish>,
    /// Notifications.
    pub callback: Option<CallbackWish>,
    /// Key-value state.
    pub kv: Option<KvWish>,
    /// Children.
    pub submit: Option<SubmitWish>,
}

/// Which models.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LlmWish {
    /// Patterns of model names or aliases.
    pub models: Vec<String>,
}

/// Which hosts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpWish {
    /// Patterns of `host` or `host:port`.
    pub hosts: Vec<String>,
}

/// Which targets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallbackWish {
    /// Names of the operator's targets.
    pub targets: Vec<String>,
}

/// Which kinds of children.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubmitWish {
    /// Patterns of kinds.
    pub kinds: Vec<String>,
}

/// How much state.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KvWish {
    /// All keys and values together, in bytes. Written like `1MiB`.
    #[serde(rename = "max-bytes", deserialize_with = "read::size")]
    pub bytes_max: u64,
}

/// What one run must stay within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all the component's instances together.
    pub memory_bytes_max: u64,
    /// Guest CPU, not wall time.
    pub cpu_ms_max: u64,
    /// Calls to capabilities.
    pub host_calls_max: u32,
    /// The result.
    pub output_bytes_max: u64,
    /// The job's own log.
    pub log_bytes_max: u64,
    /// Tokens of all its calls to models, over all attempts of a job; what the operator allows if there is none.
    pub job_tokens_max: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            cpu_ms_max: 10_000,
            host_calls_max: 1_000,
            output_bytes_max: 1 << 20,
            log_bytes_max: 64 << 10,
            job_tokens_max: None,
        }
    }
}

/// Why a manifest is refused. Each sentence says what to change.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Not TOML, a missing or an unknown key.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// No `manifest = 1`.
    #[error("the first line must be `manifest = {VERSION}`")]
    NoVersion,
    /// A newer host is needed.
    #[error("manifest version {0} is newer than this host reads ({VERSION}); upgrade roughneck")]
    NewerVersion(i64),
    /// Another contract.
    #[error(
        "the plugin is built for `{0}`; this host speaks {package}@{version}: rebuild the plugin, or upgrade roughneck if the plugin is newer",
        package = CONTRACT.0,
        version = CONTRACT.1
    )]
    Contract(String),
    /// Another version of the contract.
    #[error(transparent)]
    Version(#[from] contract::NotServed),
    /// A world the contract does not have.
    #[error("the contract has no world `{0}`; build against one of {worlds}", worlds = contract::WORLDS.join(", "))]
    World(String),
    /// A name that is no identity.
    #[error(
        "`{0}` is not a name: use a lower-case letter followed by 1 to 62 lower-case letters, digits or `-`"
    )]
    Name(String),
    /// A source that leaves the plugin's folder.
    #[error("`component.source` must be the name of a file beside plugin.toml, not `{0}`")]
    Source(String),
    /// Nothing to serve.
    #[error("the manifest names no kind; add a [[kind]] with `name` and `class`")]
    NoKind,
    /// Two kinds of one name.
    #[error("the kind or alias `{0}` is named twice")]
    KindTwice(String),
    /// A schedule of a kind that is not there.
    #[error("the cron entry `{id}` names the kind `{kind}`, which this manifest does not have")]
    CronKind {
        /// The entry.
        id: String,
        /// The kind.
        kind: String,
    },
    /// A schedule that cannot be read.
    #[error("the cron entry `{id}` cannot be used")]
    Cron {
        /// The entry.
        id: String,
        /// Why.
        #[source]
        source: ScheduleError,
    },
    /// Patterns that match nothing.
    #[error(transparent)]
    Patterns(#[from] NotPatterns),
    /// A value that makes no sense.
    #[error("`{key}`: {why}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}
