//! Why a client's call got no answer, as its surface says it and as its job keeps it.

use bytes::Bytes;
use roughneck_jobs::{
    failure::{Failure, code},
    model::LlmError,
    ports::{
        attended::Halt,
        gateway::{CallRoute, Reply},
        runner::Outcome,
    },
};

use super::form;

/// Ollama's own words for a full queue, with both of its spaces: clients know them.
pub(crate) const QUEUE_FULL: &str =
    "server busy, please try again.  maximum pending requests exceeded";

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// For the client.
    pub(crate) message: String,
    /// A stable code, for the job.
    pub(crate) code: &'static str,
}

impl Refused {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), code: "invalid-request" }
    }

    pub(crate) fn of(route: CallRoute, model: &str, error: &LlmError) -> Self {
        let (status, message) = match error {
            LlmError::NotInstalled { .. } => (404, not_found(route, model)),
            LlmError::Unavailable { .. } => (503, error.to_string()),
            LlmError::Refused { status, message } => (*status, message.clone()),
            // Ollama's own words, or why there were none.
            LlmError::BrokenOff(why) => (502, why.clone()),
            LlmError::Invalid(why) => (400, why.clone()),
            LlmError::Full { .. } => (503, QUEUE_FULL.to_owned()),
        };
        Self { status, message, code: error.code() }
    }

    pub(crate) fn halted(halt: &Halt) -> Self {
        let (status, message, code) = match halt {
            // Ollama's own status and words for a client that has gone.
            Halt::Cancelled => {
                (499, "request canceled: the job was cancelled".to_owned(), code::CANCELLED)
            }
            Halt::Stopping => {
                (503, "the host stops; try again in a moment".to_owned(), code::CANCELLED)
            }
            Halt::Refused(error) => (503, format!("{QUEUE_FULL}: {error}"), "queue-full"),
        };
        Self { status, message, code }
    }

    /// What it says, for an answer whose status was sent before.
    pub(crate) fn body(&self, route: CallRoute) -> Bytes {
        form::error(route.form(), self.status, &self.message).into()
    }

    pub(crate) fn reply(&self, route: CallRoute) -> Reply {
        form::refusal(route.form(), self.status, &self.message)
    }

    /// How the job ends.
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::Failed(Failure::fatal(self.code, self.message.clone()))
    }
}

/// Ollama's words for a model that is not there, which clients look for; they differ by route.
pub(crate) fn not_found(route: CallRoute, model: &str) -> String {
    match route {
        CallRoute::Embed | CallRoute::Embeddings | CallRoute::OpenAiEmbeddings => {
            format!("model \"{model}\" not found, try pulling it first")
        }
        CallRoute::Generate
        | CallRoute::Chat
        | CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::Responses
        | CallRoute::Messages => format!("model '{model}' not found"),
    }
}
