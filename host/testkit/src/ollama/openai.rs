//! `/v1/chat/completions` and `/v1/models`, as Ollama translates them.
//!
//! Like upstream it reads few fields, knows no `num_ctx` and no `keep_alive`, and breaks on an error in mid-stream: the
//! client gets an empty delta and the end of the stream, without `[DONE]`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::{Asked, Route, decide};
use super::clock::wall_now;
use super::dialect::{Dialect, Gathered, respond};
use super::generation::{Done, Event};
use super::log::Recording;
use super::native::scripted;
use super::request::{CallRequest, Message};
use super::server::Server;
use super::wire::{Answer, JSON, Refusal, SSE, first_value, go_json};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionRequest {
    model: Option<String>,
    messages: Option<Vec<Message>>,
    tools: Option<Vec<Value>>,
    /// Absent is false here.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    stop: Option<Value>,
    response_format: Option<ResponseFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseFormat {
    #[serde(rename = "type")]
    kind: String,
    json_schema: Option<NamedSchema>,
}

#[derive(Debug, Deserialize)]
struct NamedSchema {
    schema: Box<RawValue>,
}

/// Answers `/v1/chat/completions`.
pub(super) async fn chat_completions(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let watch = server.stopwatch();
    let request: CompletionRequest = first_value(body)?;
    if request.messages.as_ref().is_none_or(Vec::is_empty) {
        return Err(Refusal::new(400, "[] is too short - 'messages'"));
    }
    let dialect = OpenAi {
        id: server.next_completion_id(),
        model: request.model.clone().unwrap_or_default(),
        include_usage: request.stream_options.as_ref().is_some_and(|options| options.include_usage),
        begun: false,
    };
    let streamed = request.stream.unwrap_or(false);
    let native = translated(request);
    match decide(server, &native, Route::Chat)? {
        // Without a keep-alive and with messages it can only be an answer.
        Asked::Unload(_) | Asked::Load(_) => {
            Ok(Answer::json(&dialect.completion(Gathered::default())))
        }
        Asked::Answer(mut call) => {
            recording.count_in_flight();
            let dictated = server.script.next().and_then(|reply| call.follow(reply));
            if let Some((status, body)) = dictated {
                return Ok(scripted(status, body));
            }
            respond(server.events(call, watch, recording), dialect, streamed).await
        }
    }
}

fn translated(request: CompletionRequest) -> CallRequest {
    let mut options = Map::new();
    if let Some(max) = request.max_tokens {
        options.insert("num_predict".to_owned(), Value::from(max));
    }
    match request.stop {
        Some(Value::String(stop)) => {
            options.insert("stop".to_owned(), Value::from(vec![stop]));
        }
        Some(stops @ Value::Array(_)) => {
            options.insert("stop".to_owned(), stops);
        }
        Some(_) | None => {}
    }
    let format = request.response_format.and_then(|format| match format.kind.as_str() {
        "json_object" => RawValue::from_string(r#""json""#.to_owned()).ok(),
        "json_schema" => format.json_schema.map(|named| named.schema),
        _ => None,
    });
    CallRequest {
        model: request.model,
        messages: request.messages,
        tools: request.tools,
        format,
        options: Some(options),
        ..CallRequest::default()
    }
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Said>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
}

#[derive(Serialize)]
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

struct OpenAi {
    id: String,
    model: String,
    include_usage: bool,
    /// The first chunk, which alone says the role, is out.
    begun: bool,
}

impl OpenAi {
    fn object(&self, object: &'static str, choices: Vec<Choice>) -> Completion<'_> {
        Completion {
            id: &self.id,
            object,
            created: wall_now().as_second(),
            model: &self.model,
            system_fingerprint: "fp_ollama",
            choices,
            usage: None,
        }
    }

    fn completion(&self, answer: Gathered) -> Completion<'_> {
        let choice = Choice {
            index: 0,
            message: Some(Said {
                role: Some("assistant"),
                content: Some(answer.text),
                reasoning: Some(answer.thinking).filter(|text| !text.is_empty()),
            }),
            delta: None,
            finish_reason: answer.done.as_ref().map(|done| done.reason),
        };
        Completion {
            usage: answer.done.as_ref().map(Usage::of),
            ..self.object("chat.completion", vec![choice])
        }
    }

    fn event(&self, choices: Vec<Choice>, usage: Option<Usage>) -> Vec<u8> {
        let chunk = Completion { usage, ..self.object("chat.completion.chunk", choices) };
        [b"data: ", go_json(&chunk).as_slice(), b"\n\n"].concat()
    }

    fn delta(&mut self, said: Said) -> Vec<u8> {
        let role = (!std::mem::replace(&mut self.begun, true)).then_some("assistant");
        let choice = Choice {
            index: 0,
            message: None,
            delta: Some(Said { role, ..said }),
            finish_reason: None,
        };
        self.event(vec![choice], None)
    }

    fn end(&self, done: &Done) -> Vec<u8> {
        let choice = Choice {
            index: 0,
            message: None,
            delta: Some(Said::default()),
            finish_reason: Some(done.reason),
        };
        let mut bytes = self.event(vec![choice], None);
        if self.include_usage {
            bytes.extend(self.event(Vec::new(), Some(Usage::of(done))));
        }
        bytes.extend_from_slice(b"data: [DONE]\n\n");
        bytes
    }
}

impl Dialect for OpenAi {
    const STREAM_TYPE: &'static str = SSE;

    fn chunk(&mut self, event: Event) -> Bytes {
        let content = |text| Said { content: Some(text), ..Said::default() };
        Bytes::from(match event {
            Event::Text(piece) => self.delta(content(piece)),
            Event::Thinking(piece) => {
                self.delta(Said { reasoning: Some(piece), ..content(String::new()) })
            }
            Event::Done(done) => self.end(&done),
            Event::Failed(_lost_upstream_too) => self.delta(content(String::new())),
        })
    }

    fn whole(&mut self, answer: Gathered) -> Bytes {
        Bytes::from(go_json(&self.completion(answer)))
    }
}

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
    Answer::Whole {
        status: refusal.status,
        content_type: JSON,
        body: Bytes::from(go_json(&ErrorBody { error })),
    }
}

#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<ModelEntry<'a>>,
}

#[derive(Serialize)]
struct ModelEntry<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

/// Answers `/v1/models`.
pub(super) fn models(server: &Server) -> Answer {
    let entry = |name| ModelEntry {
        id: name,
        object: "model",
        created: super::inventory::MODIFIED_AT_UNIX_S,
        owned_by: "library",
    };
    let names = server.models.iter().map(|model| model.name.as_str());
    Answer::json(&ModelList { object: "list", data: names.map(entry).collect() })
}
