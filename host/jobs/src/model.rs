//! A conversation with a language model, free of any wire format.

use serde::{Deserialize, Serialize};

use crate::{
    budget::{OverBudget, Payer, Renewal},
    clock::Millis,
    failure::code,
    priority::Priority,
    usage::Usage,
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
    /// Pictures, in their file formats.
    pub images: Vec<Vec<u8>>,
    /// Calls the assistant made in this turn.
    pub tool_calls: Vec<ToolCall>,
    /// For [`Role::Tool`]: the call that this answers.
    pub tool_call_id: Option<String>,
}

/// A call of a tool by the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Its id, unique in the conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// A JSON object.
    pub arguments_json: String,
}

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters_schema: String,
}

/// One request to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The plugin that asks, for the metrics.
    pub plugin: String,
    /// On whose account it goes.
    pub payer: Payer,
    /// The rank of the job it belongs to: lower goes first, among calls as among jobs.
    pub rank: Millis,
    /// The priority of that job.
    pub priority: Priority,
    /// A model's name or an alias.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The tools on offer.
    pub tools: Vec<Tool>,
    /// JSON Schema the answer must follow.
    pub response_schema: Option<String>,
    /// Ollama's `options`: `num_ctx`, `temperature`, `seed`, `num_predict`, `stop`, …
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What its plugin sees of the answer before its end.
    pub delivery: Delivery,
}

/// How an answer is handed to the plugin that asked. A model that is asked again may answer otherwise, so
/// this decides until when an answer may be begun anew behind the plugin's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once it is whole. Until then the plugin has seen nothing of it.
    Whole,
    /// Piece by piece. What the plugin has seen must stay true.
    Pieces,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of the answer.
    Text(String),
    /// Of the model's reasoning.
    Thinking(String),
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The answer.
    pub text: String,
    /// The model's reasoning, if it gave any.
    pub thinking: Option<String>,
    /// Tools it wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended: `stop`, `length`, …
    pub finish_reason: String,
    /// What it cost.
    pub usage: Usage,
    /// The model that answered.
    pub model: String,
    /// Its digest.
    pub model_digest: Option<String>,
}

/// A model that is to be had, under the name Ollama knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The name for Ollama.
    pub name: String,
    /// Its digest, once the inventory knows it.
    pub digest: Option<String>,
    /// Where it answers.
    pub site: Site,
}

/// Where a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// On Ollama's machine, where it has to be loaded.
    Here,
    /// Elsewhere, behind Ollama: what is asked leaves the machine, and nothing is loaded.
    Cloud,
}

/// How the path to Ollama is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Up {
        /// Its version.
        version: String,
        /// Models installed.
        models: usize,
    },
    /// It has failed, and the next call shows whether it works again.
    OnTrial {
        /// How it failed last, in one sentence.
        reason: String,
    },
    /// It cannot be reached, or does not do its work.
    Down {
        /// What was tried and what came back, in one sentence.
        reason: String,
    },
}

/// Why a call to a model failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// No connection could be made, so the request was never sent.
    #[error(
        "Ollama at {url} cannot be reached ({why}); start it with `ollama serve`, or set `--ollama-url`"
    )]
    Unavailable {
        /// Where it was looked for.
        url: String,
        /// What the connection said.
        why: String,
    },
    /// Ollama is there and does not do its work, so the request was never sent.
    #[error("Ollama at {url} does not do its work ({why}); restart Ollama, and look at its log")]
    Unwell {
        /// Where it is.
        url: String,
        /// What was tried and what came back.
        why: String,
    },
    /// The model is not there.
    #[error("the model `{model}` is not installed in Ollama; run `ollama pull {model}`{hint}")]
    NotInstalled {
        /// The name after aliases.
        model: String,
        /// What else could be meant; empty, or begins with a separator.
        hint: String,
    },
    /// The model answers elsewhere, and the operator lets no call leave the machine. Begins with Ollama's own words.
    #[error(
        "ollama cloud is disabled: remote model is unavailable; calls of `{model}` would leave this machine, which \
         needs `cloud = true` under [ollama] in roughneck.toml"
    )]
    CloudDisabled {
        /// The name after aliases.
        model: String,
    },
    /// The model answers elsewhere than where its call has waited for it.
    #[error(
        "the model `{model}` answers elsewhere now than when its call began to wait; ask again"
    )]
    Moved {
        /// Its name, as it is installed.
        model: String,
    },
    /// Ollama refused the request.
    #[error("Ollama refused the request with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Ollama's own words.
        message: String,
    },
    /// Too many calls wait for the lane already.
    #[error(
        "{waiting_max} calls wait for Ollama already, and no more may; try again when some are done"
    )]
    Full {
        /// How many may wait.
        waiting_max: usize,
    },
    /// There are no tokens left for it.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The answer broke off.
    #[error("the answer of Ollama broke off: {0}")]
    BrokenOff(String),
    /// The request makes no sense before it is sent.
    #[error("the request cannot be sent: {0}")]
    Invalid(String),
}

impl LlmError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } | Self::Unwell { .. } => code::OLLAMA_UNAVAILABLE,
            Self::NotInstalled { .. } => code::MODEL_NOT_INSTALLED,
            Self::CloudDisabled { .. } => code::CLOUD_DISABLED,
            Self::Moved { .. } => code::MODEL_MOVED,
            Self::Refused { status: 503 | 429, .. } => "ollama-busy",
            Self::Refused { .. } => code::OLLAMA_REFUSED,
            Self::Full { .. } => code::LANE_FULL,
            Self::OverBudget(over) => over.code(),
            Self::BrokenOff(_) => code::OLLAMA_BROKE_OFF,
            Self::Invalid(_) => "invalid-request",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Unwell { .. }
            | Self::Moved { .. }
            | Self::Full { .. }
            | Self::BrokenOff(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::OverBudget(over) => over.renewal != Renewal::Never,
            Self::NotInstalled { .. } | Self::CloudDisabled { .. } | Self::Invalid(_) => false,
        }
    }
}
