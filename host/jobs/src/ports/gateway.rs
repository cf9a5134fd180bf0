//! Ollama's own surface, as its clients see it: calls that wait for the lane, and requests that pass.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attended::Attended;
use crate::{budget::PayingJob, clock::Millis, priority::Priority};

/// The kind of a call that a client sends to Ollama's surface.
pub const KIND: &str = "ollama.call";

/// The model that the input of a job of this kind names, as it is written there. None while it makes no sense: whoever
/// runs the job says so.
#[must_use]
pub fn model_of(input: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Input {
        body: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        model: String,
    }
    let input: Input = serde_json::from_str(input).ok()?;
    // No name is so long, and it is kept beside the input.
    Some(input.body.model).filter(|model| model.len() <= MODEL_BYTES_MAX)
}

const MODEL_BYTES_MAX: usize = 512;

/// The call that the input of a job of this kind is: where it goes, and its body. None while it makes no sense.
#[must_use]
pub fn call_of(input: &str) -> Option<(CallRoute, &RawValue)> {
    #[derive(Deserialize)]
    struct Input<'a> {
        path: String,
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let input: Input<'_> = serde_json::from_str(input).ok()?;
    Some((CallRoute::at(&input.path)?, input.body))
}

/// The header that tells the code of a refusal, where the form of a surface has no place for it.
pub const CODE: &str = "x-roughneck-code";

/// What the host signs its requests to Ollama with (`Via`, RFC 9110, section 7.6.3), so that it knows them again
/// if a way leads them back to it.
pub const VIA: &str = "1.1 roughneck";

/// Whether a request with this `Via` was sent to Ollama by a host.
#[must_use]
pub fn is_by_host(via: &str) -> bool {
    let ours = VIA.split_ascii_whitespace().nth(1);
    via.split(',').any(|hop| hop.split_ascii_whitespace().nth(1) == ours)
}

/// The header that says that a model was kept which a client wants unloaded: others use it, or wait for it. In their
/// bodies the answers of Ollama's form are the same.
pub const KEPT: &str = "x-roughneck-kept";

/// A route whose calls wait for the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallRoute {
    /// `POST /api/generate`.
    Generate,
    /// `POST /api/chat`.
    Chat,
    /// `POST /api/embed`.
    Embed,
    /// `POST /api/embeddings`, the older form.
    Embeddings,
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    OpenAiEmbeddings,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/messages`, Anthropic's.
    Messages,
}

impl CallRoute {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Generate,
        Self::Chat,
        Self::Embed,
        Self::Embeddings,
        Self::ChatCompletions,
        Self::Completions,
        Self::OpenAiEmbeddings,
        Self::Responses,
        Self::Messages,
    ];

    /// Its path, here and in Ollama.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Generate => "/api/generate",
            Self::Chat => "/api/chat",
            Self::Embed => "/api/embed",
            Self::Embeddings => "/api/embeddings",
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::OpenAiEmbeddings => "/v1/embeddings",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// Whether it asks for embeddings.
    #[must_use]
    pub fn embeds(self) -> bool {
        match self {
            Self::Embed | Self::Embeddings | Self::OpenAiEmbeddings => true,
            Self::Generate
            | Self::Chat
            | Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::Messages => false,
        }
    }

    /// Ollama's words for a model that is not there, which clients look for; they differ by route.
    #[must_use]
    pub fn not_found(self, model: &str) -> String {
        if self.embeds() {
            format!("model \"{model}\" not found, try pulling it first")
        } else {
            format!("model '{model}' not found")
        }
    }

    /// Ollama's status and words for a call that names no model. Some of its routes look for one that has no name.
    #[must_use]
    pub fn nameless(self) -> (u16, &'static str) {
        match self {
            Self::Generate | Self::Completions | Self::Embed | Self::OpenAiEmbeddings => {
                (404, "model '' not found")
            }
            Self::Chat
            | Self::Embeddings
            | Self::ChatCompletions
            | Self::Responses
            | Self::Messages => (400, "model is required"),
        }
    }

    /// The route at a path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }

    /// The form of its answers.
    #[must_use]
    pub fn form(self) -> Form {
        match self {
            Self::Generate | Self::Chat | Self::Embed | Self::Embeddings => Form::Native,
            Self::ChatCompletions
            | Self::Completions
            | Self::OpenAiEmbeddings
            | Self::Responses => Form::OpenAi,
            Self::Messages => Form::Anthropic,
        }
    }
}

/// A request that Ollama answers without a model, or that changes its inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassRoute {
    /// `GET /api/version`.
    Version,
    /// `GET /api/status`.
    Status,
    /// `GET /api/experimental/model-recommendations`.
    Recommendations,
    /// `GET /api/tags`; aliases are among the answer.
    Tags,
    /// `GET /api/ps`.
    Ps,
    /// `POST /api/show`.
    Show,
    /// `GET /v1/models`; aliases are among the answer.
    Models,
    /// `GET /v1/models/{model}`.
    Model,
    /// `POST /api/pull`.
    Pull,
    /// `POST /api/push`.
    Push,
    /// `POST /api/create`.
    Create,
    /// `POST /api/copy`.
    Copy,
    /// `DELETE /api/delete`.
    Delete,
    /// `HEAD` and `POST /api/blobs/{digest}`.
    Blob,
}

impl PassRoute {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Version,
        Self::Status,
        Self::Recommendations,
        Self::Tags,
        Self::Ps,
        Self::Show,
        Self::Models,
        Self::Model,
        Self::Pull,
        Self::Push,
        Self::Create,
        Self::Copy,
        Self::Delete,
        Self::Blob,
    ];

    /// Its path, with the names of its parts in braces.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Version => "/api/version",
            Self::Status => "/api/status",
            Self::Recommendations => "/api/experimental/model-recommendations",
            Self::Tags => "/api/tags",
            Self::Ps => "/api/ps",
            Self::Show => "/api/show",
            Self::Models => "/v1/models",
            Self::Model => "/v1/models/{model}",
            Self::Pull => "/api/pull",
            Self::Push => "/api/push",
            Self::Create => "/api/create",
            Self::Copy => "/api/copy",
            Self::Delete => "/api/delete",
            Self::Blob => "/api/blobs/{digest}",
        }
    }

    /// Whether it changes what Ollama has installed.
    #[must_use]
    pub fn is_admin(self) -> bool {
        match self {
            Self::Pull | Self::Push | Self::Create | Self::Copy | Self::Delete | Self::Blob => true,
            Self::Version
            | Self::Status
            | Self::Recommendations
            | Self::Tags
            | Self::Ps
            | Self::Show
            | Self::Models
            | Self::Model => false,
        }
    }

    /// The form of its answers.
    #[must_use]
    pub fn form(self) -> Form {
        match self {
            Self::Models | Self::Model => Form::OpenAi,
            Self::Version
            | Self::Status
            | Self::Recommendations
            | Self::Tags
            | Self::Ps
            | Self::Show
            | Self::Pull
            | Self::Push
            | Self::Create
            | Self::Copy
            | Self::Delete
            | Self::Blob => Form::Native,
        }
    }
}

/// Who answers in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Ollama's own.
    Native,
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Form {
    /// The form that is expected at a path, served or not. None where the host speaks for itself.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let is_below =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        if path == CallRoute::Messages.path() || is_below(CallRoute::Messages.path()) {
            Some(Self::Anthropic)
        } else if is_below("/v1") {
            Some(Self::OpenAi)
        } else {
            is_below("/api").then_some(Self::Native)
        }
    }
}

/// A client's call as it came in.
#[derive(Clone, Debug)]
pub struct ClientCall {
    /// Where it was sent.
    pub route: CallRoute,
    /// Its body, uncompressed.
    pub body: Bytes,
    /// The client's `User-Agent`: Ollama answers some of them differently.
    pub user_agent: Option<String>,
    /// Who asks, as far as they say; opaque, and a label of a metric only if the operator has named it.
    pub caller: Option<String>,
    /// Who waits for the answer.
    pub origin: Origin,
    /// The job that makes it, if that is a durable one. It may wait for its budget.
    pub job: Option<PayingJob>,
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A client that waits on an open connection.
    Client,
    /// A durable job, whose submitter comes back for the answer. It is wanted in one piece, whatever the
    /// body says.
    Job,
}

/// A request that does not wait for the lane.
pub struct Passage {
    /// What is asked.
    pub route: PassRoute,
    /// The method, as on the wire.
    pub method: String,
    /// The path with its query, as on the wire.
    pub path: String,
    /// `Content-Type`, `User-Agent` and the like, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Gigabytes, in the case of a blob.
    pub body: BoxStream<'static, Result<Bytes, std::io::Error>>,
}

/// An answer to a client.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// What follows.
    pub body: ReplyBody,
}

/// The body of a [`Reply`].
pub enum ReplyBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes. Dropping it says that the client has left. An error cuts the connection off.
    Stream(BoxStream<'static, Result<Bytes, std::io::Error>>),
}

/// The place of a call in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Lower runs first.
    pub rank: Millis,
    /// What the rank was made of.
    pub priority: Priority,
}

/// A call that was read and may run.
#[async_trait]
pub trait Admitted: Send {
    /// The installed model that is meant, or the name as it was asked for while Ollama is away.
    fn model(&self) -> &str;

    /// What the job keeps of it: JSON, and no longer than an input may be.
    fn record(&self) -> String;

    /// Waits for the lane and answers. Returns when the answer begins, or, if it takes long, when the
    /// connection needs a sign of life. Dropping the future says that the client has left.
    async fn run(self: Box<Self>, place: Place, job: Arc<dyn Attended>) -> Reply;
}

/// Ollama's surface.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Reads a call and looks for its model.
    ///
    /// # Errors
    /// The refusal, in the form of the route.
    async fn admit(&self, call: ClientCall) -> Result<Box<dyn Admitted>, Reply>;

    /// Why no job of this kind may be made of this input, as far as it says so itself, whatever its model is: a call of
    /// [`Gateway::admit`] would be refused for the same. None while the input makes no sense: whoever runs the job says so.
    fn forbids(&self, input: &str) -> Option<String>;

    /// Answers a request that does not wait.
    async fn pass(&self, passage: Passage) -> Reply;

    /// What the model said, of the result of a job that was a call: plain text. None if nothing was
    /// said, or nothing of it is kept.
    fn completion(&self, result: &str) -> Option<String>;

    /// An error in the form of a surface.
    fn refusal(&self, form: Form, status: u16, message: &str) -> Reply;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_the_form_of_its_path() {
        for route in CallRoute::ALL {
            assert_eq!(Form::at(route.path()), Some(route.form()));
        }
        for route in PassRoute::ALL {
            assert_eq!(Form::at(route.path()), Some(route.form()));
        }
        for (path, form) in [
            ("/v1/messages/count_tokens", Some(Form::Anthropic)),
            ("/v1/messagess", Some(Form::OpenAi)),
            ("/api/", Some(Form::Native)),
            ("/apis", None),
            ("/jobs", None),
        ] {
            assert_eq!(Form::at(path), form, "{path}");
        }
    }

    #[test]
    fn the_input_of_a_job_is_a_call_if_it_says_where_it_goes_and_what_it_asks() {
        let of = |input| call_of(input).map(|(route, body)| (route, body.get()));
        let call = r#"{"path":"/v1/messages","caller":"alice","body":{"b":1, "a":2}}"#;
        assert_eq!(of(call), Some((CallRoute::Messages, r#"{"b":1, "a":2}"#)));
        for senseless in [
            "7",
            "{}",
            r#"{"path":"/api/tags","body":{}}"#,
            r#"{"path":{"$result":"a"},"body":{}}"#,
        ] {
            assert_eq!(of(senseless), None, "{senseless}");
        }
    }

    #[test]
    fn a_host_knows_its_own_requests_among_the_hops_of_others() {
        for via in [VIA, "1.0 fred, 1.1 roughneck", "1.1 roughneck (comment), 2 proxy.example:80"] {
            assert!(is_by_host(via), "{via}");
        }
        for via in ["", "1.1", "1.1 fred", "1.1 fred (roughneck)", "roughneck"] {
            assert!(!is_by_host(via), "{via}");
        }
    }
}
