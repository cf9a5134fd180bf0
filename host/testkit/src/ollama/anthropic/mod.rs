//! `/v1/messages`, the chat of Anthropic's shape, as Ollama translates it. An error in mid-stream is lost, as upstream:
//! the stream just ends.

mod request;
mod response;
mod stream;

use bytes::Bytes;
use serde::Serialize;

use super::call::Route;
use super::config::Capability;
use super::dialect::{Dialect, Gathered};
use super::generation::Event;
use super::log::Recording;
use super::server::Server;
use super::translated::Entered;
use super::wire::{Answer, Refusal, SSE, TRANSLATED_JSON, first_value, json_line};
use request::Request;
use response::Message;
use stream::Stream;

/// Answers `/v1/messages`.
pub(super) async fn messages(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let entered = Entered::now(server, recording);
    let request: Request = first_value(body)?;
    request.check()?;
    let dialect = Anthropic {
        stream: Stream::new(
            id(&server.next_id("msg_")),
            request.model.clone().unwrap_or_default(),
            request.estimated_tokens(),
        ),
    };
    let mut native = request.translated()?;
    // Here, and only here, a model that cannot think is not told to: Claude Code asks every one to.
    let model = native.model.as_deref().and_then(|name| server.shelf.find(name));
    if model.is_some_and(|model| !model.can(Capability::Thinking)) {
        native.think = None;
    }
    entered.answer(native, Route::Chat, dialect).await
}

struct Anthropic {
    stream: Stream,
}

impl Dialect for Anthropic {
    const STREAM_TYPE: &'static str = SSE;
    const WHOLE_TYPE: &'static str = TRANSLATED_JSON;

    fn chunk(&mut self, event: Event) -> Bytes {
        Bytes::from(self.stream.events(event))
    }

    fn whole(&mut self, answer: Gathered) -> Bytes {
        Bytes::from(json_line(&Message::whole(&self.stream.id, &self.stream.model, answer)))
    }
}

/// Upstream's have 24 random digits after the prefix.
fn id(prefix_and_number: &str) -> String {
    let (prefix, number) = prefix_and_number.split_once('_').unwrap_or((prefix_and_number, ""));
    format!("{prefix}_{number:0>24}")
}

#[derive(Serialize)]
struct ErrorBody {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorDetail,
    request_id: String,
}

#[derive(Serialize)]
struct ErrorDetail {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

/// An error in Anthropic's shape.
pub(super) fn refused(server: &Server, refusal: Refusal) -> Answer {
    let kind = match refusal.status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    let error = ErrorDetail { kind, message: refusal.message };
    let body = ErrorBody { kind: "error", error, request_id: id(&server.next_id("req_")) };
    Answer::translated(refusal.status, &body)
}
