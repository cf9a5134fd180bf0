//! `/v1/completions`: a prompt without a chat around it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DONE, FINGERPRINT, StreamOptions, Usage, event, options};
use crate::ollama::call::Route;
use crate::ollama::clock::wall_now;
use crate::ollama::dialect::{Dialect, Gathered};
use crate::ollama::generation::{Done, Event};
use crate::ollama::log::Recording;
use crate::ollama::request::CallRequest;
use crate::ollama::server::Server;
use crate::ollama::translated::Entered;
use crate::ollama::wire::{Answer, Refusal, SSE, TRANSLATED_JSON, first_value, json_line};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    prompt: Option<String>,
    suffix: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    stop: Option<Value>,
}

/// Answers `/v1/completions`.
pub(in crate::ollama) async fn completions(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let entered = Entered::now(server, recording);
    let request: Request = first_value(body)?;
    let dialect = Completion {
        id: server.next_id("cmpl-"),
        model: request.model.clone().unwrap_or_default(),
        include_usage: request.stream_options.is_some_and(|options| options.include_usage),
    };
    let native = CallRequest {
        model: request.model,
        prompt: request.prompt,
        suffix: request.suffix,
        stream: request.stream,
        options: Some(options(request.max_tokens, request.stop)),
        ..CallRequest::default()
    };
    entered.answer(native, Route::Generate, dialect).await
}

struct Completion {
    id: String,
    model: String,
    include_usage: bool,
}

#[derive(Serialize)]
struct Whole<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: [Choice<'a>; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    choices: Vec<Choice<'a>>,
    model: &'a str,
    system_fingerprint: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    finish_reason: Option<&'static str>,
}

const OBJECT: &str = "text_completion";

impl Completion {
    fn chunk_of(&self, choices: Vec<Choice<'_>>, usage: Option<Usage>) -> Vec<u8> {
        event(&Chunk {
            id: &self.id,
            object: OBJECT,
            created: wall_now().as_second(),
            choices,
            model: &self.model,
            system_fingerprint: FINGERPRINT,
            usage,
        })
    }

    /// Who wants the usage gets it in every chunk, zero until the last.
    fn text(&self, text: &str, finish_reason: Option<&'static str>) -> Vec<u8> {
        let usage = self.include_usage.then(Usage::default);
        self.chunk_of(vec![Choice { text, index: 0, finish_reason }], usage)
    }

    fn end(&self, done: &Done) -> Vec<u8> {
        let mut bytes = self.text("", Some(done.reason));
        if self.include_usage {
            bytes.extend(self.chunk_of(Vec::new(), Some(Usage::of(done))));
        }
        bytes.extend_from_slice(DONE);
        bytes
    }
}

impl Dialect for Completion {
    const STREAM_TYPE: &'static str = SSE;
    const WHOLE_TYPE: &'static str = TRANSLATED_JSON;

    fn chunk(&mut self, event: Event) -> Bytes {
        Bytes::from(match event {
            Event::Text(piece) => self.text(&piece, None),
            Event::Done(done) => self.end(&done),
            // This API has no place for them.
            Event::Thinking(_) | Event::ToolCall(_) => self.text("", None),
            Event::Failed(_lost_upstream_too) => {
                // Read as a chunk that says nothing, not even whose it is.
                self.model.clear();
                self.text("", None)
            }
        })
    }

    fn whole(&mut self, answer: Gathered) -> Bytes {
        let finish_reason = answer.done.as_ref().map(|done| done.reason);
        Bytes::from(json_line(&Whole {
            id: &self.id,
            object: OBJECT,
            created: wall_now().as_second(),
            model: &self.model,
            system_fingerprint: FINGERPRINT,
            choices: [Choice { text: &answer.text, index: 0, finish_reason }],
            usage: answer.done.as_ref().map(Usage::of).unwrap_or_default(),
        }))
    }
}
