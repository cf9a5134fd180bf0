//! `/v1/chat/completions`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::messages::{self, Said as Message};
use super::{DONE, FINGERPRINT, StreamOptions, Usage, event, options};
use crate::ollama::call::Route;
use crate::ollama::clock::wall_now;
use crate::ollama::dialect::{Dialect, Gathered};
use crate::ollama::generation::{Done, Event};
use crate::ollama::log::Recording;
use crate::ollama::logprobs::{self, Alternatives, Logprob};
use crate::ollama::request::CallRequest;
use crate::ollama::server::Server;
use crate::ollama::think;
use crate::ollama::tools::{Tool, ToolCall};
use crate::ollama::translated::Entered;
use crate::ollama::wire::{Answer, Refusal, SSE, TRANSLATED_JSON, first_value, json_line};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionRequest {
    model: Option<String>,
    messages: Option<Vec<Message>>,
    tools: Option<Vec<Tool>>,
    /// Absent is false here.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    stop: Option<Value>,
    response_format: Option<ResponseFormat>,
    reasoning: Option<Reasoning>,
    reasoning_effort: Option<String>,
    logprobs: Option<bool>,
    top_logprobs: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning {
    effort: String,
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
pub(in crate::ollama) async fn chat_completions(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let entered = Entered::now(server, recording);
    let request: CompletionRequest = first_value(body)?;
    if request.messages.as_ref().is_none_or(Vec::is_empty) {
        return Err(Refusal::new(400, "[] is too short - 'messages'"));
    }
    let include_usage =
        request.stream_options.as_ref().is_some_and(|options| options.include_usage);
    let native = translated(request)?;
    let dialect = OpenAi {
        id: server.next_id("chatcmpl-"),
        model: native.model.clone().unwrap_or_default(),
        include_usage,
        begun: false,
        called: false,
        logprobs: logprobs::wanted(&native),
    };
    entered.answer(native, Route::Chat, dialect).await
}

fn translated(request: CompletionRequest) -> Result<CallRequest, Refusal> {
    let format = request.response_format.and_then(|format| match format.kind.as_str() {
        "json_object" => RawValue::from_string(r#""json""#.to_owned()).ok(),
        "json_schema" => format.json_schema.map(|named| named.schema),
        _ => None,
    });
    let effort = match request.reasoning {
        Some(reasoning) => Some(reasoning.effort),
        None => request.reasoning_effort,
    };
    Ok(CallRequest {
        model: request.model,
        messages: Some(messages::translated(request.messages.unwrap_or_default())?),
        tools: request.tools,
        stream: request.stream,
        logprobs: request.logprobs,
        top_logprobs: request.top_logprobs,
        format,
        options: Some(options(request.max_tokens, request.stop)),
        think: think::of_openai(effort.as_deref().unwrap_or_default())?,
        ..CallRequest::default()
    })
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
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Logprobs>,
}

#[derive(Serialize)]
struct Logprobs {
    content: Vec<Logprob>,
}

impl Logprobs {
    fn of(texts: &[&str], wanted: Alternatives) -> Option<Self> {
        let content: Vec<Logprob> =
            texts.iter().flat_map(|text| logprobs::of(text, wanted)).collect();
        (!content.is_empty()).then_some(Self { content })
    }
}

#[derive(Default, Serialize)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called>,
}

#[derive(Serialize)]
struct Called {
    id: String,
    index: usize,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    /// JSON in a string.
    arguments: String,
}

impl From<ToolCall> for Called {
    fn from(call: ToolCall) -> Self {
        let function = Function { name: call.name, arguments: call.arguments.get().to_owned() };
        Self { id: call.id, index: call.index, kind: "function", function }
    }
}

struct OpenAi {
    id: String,
    model: String,
    include_usage: bool,
    /// The first chunk, which alone says the role, is out.
    begun: bool,
    /// A tool was called.
    called: bool,
    logprobs: Alternatives,
}

impl OpenAi {
    fn object(&self, object: &'static str, choices: Vec<Choice>) -> Completion<'_> {
        Completion {
            id: &self.id,
            object,
            created: wall_now().as_second(),
            model: &self.model,
            system_fingerprint: FINGERPRINT,
            choices,
            usage: None,
        }
    }

    fn completion(&self, answer: Gathered) -> Completion<'_> {
        let called = !answer.tool_calls.is_empty();
        let logprobs = Logprobs::of(&[&answer.thinking, &answer.text], self.logprobs);
        let choice = Choice {
            index: 0,
            message: Some(Said {
                role: Some("assistant"),
                content: Some(answer.text),
                reasoning: Some(answer.thinking).filter(|text| !text.is_empty()),
                tool_calls: answer.tool_calls.into_iter().map(Called::from).collect(),
            }),
            delta: None,
            finish_reason: answer.done.as_ref().map(|done| finish_reason(done, called)),
            logprobs,
        };
        Completion {
            usage: answer.done.as_ref().map(Usage::of),
            ..self.object("chat.completion", vec![choice])
        }
    }

    fn chunk_of(&self, choices: Vec<Choice>, usage: Option<Usage>) -> Vec<u8> {
        event(&Completion { usage, ..self.object("chat.completion.chunk", choices) })
    }

    fn delta(&mut self, said: Said) -> Vec<u8> {
        let role = (!std::mem::replace(&mut self.begun, true)).then_some("assistant");
        let text = said.content.as_deref().filter(|text| !text.is_empty());
        let text = text.or(said.reasoning.as_deref()).unwrap_or_default();
        let logprobs = Logprobs::of(&[text], self.logprobs);
        let choice = Choice {
            index: 0,
            message: None,
            delta: Some(Said { role, ..said }),
            finish_reason: None,
            logprobs,
        };
        self.chunk_of(vec![choice], None)
    }

    fn end(&self, done: &Done) -> Vec<u8> {
        let choice = Choice {
            index: 0,
            message: None,
            delta: Some(Said::default()),
            finish_reason: Some(finish_reason(done, self.called)),
            logprobs: None,
        };
        let mut bytes = self.chunk_of(vec![choice], None);
        if self.include_usage {
            bytes.extend(self.chunk_of(Vec::new(), Some(Usage::of(done))));
        }
        bytes.extend_from_slice(DONE);
        bytes
    }
}

/// Calls of tools end an answer that is whole, not one that was cut.
fn finish_reason(done: &Done, called: bool) -> &'static str {
    if called && done.reason == "stop" { "tool_calls" } else { done.reason }
}

impl Dialect for OpenAi {
    const STREAM_TYPE: &'static str = SSE;
    const WHOLE_TYPE: &'static str = TRANSLATED_JSON;

    fn chunk(&mut self, event: Event) -> Bytes {
        let content = |text| Said { content: Some(text), ..Said::default() };
        Bytes::from(match event {
            Event::Text(piece) => self.delta(content(piece)),
            Event::Thinking(piece) => {
                self.delta(Said { reasoning: Some(piece), ..content(String::new()) })
            }
            Event::ToolCall(call) => {
                self.called = true;
                self.delta(Said { tool_calls: vec![call.into()], ..content(String::new()) })
            }
            Event::Done(done) => self.end(&done),
            Event::Failed(_lost_upstream_too) => {
                // Read as a chunk that says nothing, not even whose it is.
                self.model.clear();
                self.delta(content(String::new()))
            }
        })
    }

    fn whole(&mut self, answer: Gathered) -> Bytes {
        Bytes::from(json_line(&self.completion(answer)))
    }
}
