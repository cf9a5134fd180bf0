//! Bodies of requests for work.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::tools::Tool;

/// The body of `/api/generate` and of `/api/chat` in one: the fields that they share mean the same. Null is absent, and
/// unknown fields are ignored, as in Go.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallRequest {
    pub(super) model: Option<String>,
    pub(super) prompt: Option<String>,
    pub(super) suffix: Option<String>,
    pub(super) system: Option<String>,
    pub(super) template: Option<String>,
    pub(super) context: Option<Vec<i64>>,
    /// Of a generate request; those of a chat are in its messages.
    pub(super) images: Option<Vec<String>>,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) tools: Option<Vec<Tool>>,
    /// Absent is true on the native routes.
    pub(super) stream: Option<bool>,
    pub(super) raw: Option<bool>,
    /// Raw, because the order of a schema's properties is the order of the answer's.
    pub(super) format: Option<Box<RawValue>>,
    pub(super) keep_alive: Option<Value>,
    pub(super) options: Option<Map<String, Value>>,
    pub(super) think: Option<Value>,
    pub(super) truncate: Option<bool>,
    pub(super) shift: Option<bool>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<i64>,
    /// The prompt as the model would see it is wanted, and no answer.
    #[serde(rename = "_debug_render_only")]
    pub(super) debug_render_only: Option<bool>,
}

/// One message of a chat.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) role: Option<String>,
    pub(super) content: Option<String>,
    pub(super) images: Option<Vec<String>>,
}

/// The body of `/api/embed` and `/api/embeddings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EmbedRequest {
    pub(super) model: Option<String>,
    pub(super) input: Option<Value>,
    pub(super) prompt: Option<String>,
    pub(super) truncate: Option<bool>,
    pub(super) dimensions: Option<usize>,
    pub(super) keep_alive: Option<Value>,
    pub(super) options: Option<Map<String, Value>>,
}

/// The body of `/api/show`; older clients say `name`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShowRequest {
    pub(super) model: Option<String>,
    pub(super) name: Option<String>,
}
