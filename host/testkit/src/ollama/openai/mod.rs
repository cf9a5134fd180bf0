//! The `/v1` routes of OpenAI's shape, as Ollama translates them into its own.
//!
//! Like upstream they read few fields, know no `num_ctx` and no `keep_alive`, and break on an error in mid-stream: the
//! client gets an empty delta and the end of the stream, without `[DONE]`.

mod chat;
mod completion;
mod embeddings;
mod messages;
mod models;
mod responses;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::generation::Done;
use super::wire::{Answer, Refusal, go_json};

pub(super) use chat::chat_completions;
pub(super) use completion::completions;
pub(super) use embeddings::embeddings;
pub(super) use models::{list, retrieve};
pub(super) use responses::responses;

const FINGERPRINT: &str = "fp_ollama";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Default, Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Usage {
    fn of(done: &Done) -> Self {
        let (read, written) = (done.metrics.prompt_eval_count, done.metrics.eval_count);
        Self { prompt_tokens: read, completion_tokens: written, total_tokens: read + written }
    }
}

/// The options that these routes know: a limit, and where to stop.
fn options(tokens_max: Option<u64>, stop: Option<Value>) -> Map<String, Value> {
    let mut options = Map::new();
    if let Some(max) = tokens_max {
        options.insert("num_predict".to_owned(), Value::from(max));
    }
    match stop {
        Some(Value::String(stop)) => {
            options.insert("stop".to_owned(), Value::from(vec![stop]));
        }
        Some(stops @ Value::Array(_)) => {
            options.insert("stop".to_owned(), stops);
        }
        Some(_) | None => {}
    }
    options
}

/// One event without a name.
fn event(data: &impl Serialize) -> Vec<u8> {
    [b"data: ", go_json(data).as_slice(), b"\n\n"].concat()
}

const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Serialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Serialize)]
struct ErrorDetail {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<()>,
    code: Option<()>,
}

/// An error in OpenAI's shape.
pub(super) fn refused(refusal: Refusal) -> Answer {
    let kind = match refusal.status {
        400 => "invalid_request_error",
        404 => "not_found_error",
        _ => "api_error",
    };
    let error = ErrorDetail { message: refusal.message, kind, param: None, code: None };
    Answer::translated(refusal.status, &ErrorBody { error })
}
