//! `/api/generate` and `/api/chat`: loads, unloads, and answers as newline-delimited JSON.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{Asked, Route, decide};
use super::clock::wall_now;
use super::config::Remote;
use super::dialect::{Dialect, Gathered, respond};
use super::generation::{Done, Event, Metrics};
use super::inventory::Elsewhere;
use super::log::Recording;
use super::logprobs::{self, Alternatives, Logprob};
use super::names::{Source, source};
use super::request::CallRequest;
use super::server::Server;
use super::tools::ToolCall;
use super::wire::{Answer, JSON, NDJSON, Refusal, error_json, first_value, go_json};

/// Answers one of the two routes.
pub(super) async fn call(
    server: &Server,
    body: &[u8],
    recording: &Recording,
    route: Route,
) -> Result<Answer, Refusal> {
    let mut watch = server.stopwatch();
    let request: CallRequest = first_value(body)?;
    let native = Native {
        route,
        model: named(&request),
        remote: stands_for(server, &request),
        logprobs: logprobs::wanted(&request),
    };
    match decide(server, &request, route)? {
        Asked::Unload(model) => {
            server.runner.unload(&model);
            Ok(native.without_answer("unload"))
        }
        Asked::Load(wanted) => {
            recording.count_in_flight();
            drop(server.runner.acquire(&wanted, &mut watch).await);
            Ok(native.without_answer("load"))
        }
        Asked::Answer(call) if request.debug_render_only == Some(true) => {
            recording.count_in_flight();
            drop(server.runner.acquire(&call.wanted, &mut watch).await);
            Ok(native.rendered(&request))
        }
        Asked::Answer(mut call) => {
            recording.count_in_flight();
            let dictated = server.script.next().and_then(|reply| call.follow(reply));
            if let Some((status, body)) = dictated {
                return Ok(scripted(status, body));
            }
            let events = server.events(call, watch, recording);
            respond(events, native, request.stream.unwrap_or(true)).await
        }
    }
}

/// A scripted status. One that HTTP does not have becomes 500.
pub(super) fn scripted(status: u16, body: String) -> Answer {
    let valid = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::Whole { status: valid.as_u16(), content_type: JSON, body: Bytes::from(body) }
}

/// One object of `/api/generate`, fields in Ollama's order.
#[derive(Serialize)]
struct GenerateObject<'a> {
    model: &'a str,
    #[serde(flatten)]
    remote: Elsewhere<'a>,
    created_at: String,
    response: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(flatten)]
    end: End,
}

/// One object of `/api/chat`, fields in Ollama's order.
#[derive(Serialize)]
struct ChatObject<'a> {
    model: &'a str,
    #[serde(flatten)]
    remote: Elsewhere<'a>,
    created_at: String,
    message: ChatMessage<'a>,
    #[serde(flatten)]
    end: End,
}

#[derive(Serialize)]
struct ChatMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ChatToolCall<'a>>,
}

#[derive(Serialize)]
struct ChatToolCall<'a> {
    id: &'a str,
    function: ChatFunction<'a>,
}

#[derive(Serialize)]
struct ChatFunction<'a> {
    index: usize,
    name: &'a str,
    arguments: &'a RawValue,
}

impl<'a> From<&'a ToolCall> for ChatToolCall<'a> {
    fn from(call: &'a ToolCall) -> Self {
        let function =
            ChatFunction { index: call.index, name: &call.name, arguments: &call.arguments };
        Self { id: &call.id, function }
    }
}

/// What one object says, besides its end.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    content: &'a str,
    thinking: &'a str,
    tool_calls: &'a [ToolCall],
}

/// The tail that both share.
#[derive(Serialize)]
struct End {
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    context: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Logprob>,
    #[serde(flatten)]
    metrics: Option<Metrics>,
    #[serde(rename = "_debug_info", skip_serializing_if = "Option::is_none")]
    debug_info: Option<DebugInfo>,
}

#[derive(Serialize)]
struct DebugInfo {
    rendered_template: String,
}

impl End {
    const NOT_YET: Self = Self {
        done: false,
        done_reason: None,
        context: Vec::new(),
        logprobs: Vec::new(),
        metrics: None,
        debug_info: None,
    };

    fn of(done: Option<Done>) -> Self {
        done.map_or(Self::NOT_YET, |done| Self {
            done: true,
            done_reason: Some(done.reason),
            context: done.context,
            logprobs: Vec::new(),
            metrics: Some(done.metrics),
            debug_info: None,
        })
    }
}

/// The name in the answers: verbatim, whatever the model is really called, but the cloud is asked without the end of the
/// name that leads there, and repeats what it was asked.
fn named(request: &CallRequest) -> String {
    let name = request.model.clone().unwrap_or_default();
    match source(&name) {
        Some((Source::Cloud, base)) => base,
        Some((Source::Here, _)) | None => name,
    }
}

/// The model elsewhere that the installed one stands for. Of what comes from the cloud as it is, nobody says so.
fn stands_for(server: &Server, request: &CallRequest) -> Option<Remote> {
    let name = request.model.as_deref().filter(|name| source(name).is_none())?;
    server.shelf.find(name)?.remote.clone()
}

struct Native {
    route: Route,
    model: String,
    remote: Option<Remote>,
    logprobs: Alternatives,
}

impl Native {
    fn object(&self, said: Said<'_>, end: End) -> Vec<u8> {
        let created_at = wall_now().to_string();
        match self.route {
            Route::Generate => go_json(&GenerateObject {
                model: &self.model,
                remote: Elsewhere::of(self.remote.as_ref()),
                created_at,
                response: said.content,
                thinking: said.thinking,
                end,
            }),
            Route::Chat => go_json(&ChatObject {
                model: &self.model,
                remote: Elsewhere::of(self.remote.as_ref()),
                created_at,
                message: ChatMessage {
                    role: "assistant",
                    content: said.content,
                    thinking: said.thinking,
                    tool_calls: said.tool_calls.iter().map(ChatToolCall::from).collect(),
                },
                end,
            }),
        }
    }

    /// An object in the middle of an answer.
    fn piece(&self, said: Said<'_>) -> Vec<u8> {
        let piece = if said.content.is_empty() { said.thinking } else { said.content };
        self.object(said, End { logprobs: logprobs::of(piece, self.logprobs), ..End::NOT_YET })
    }

    /// Loads and unloads answer with one object and no figures at all, also when a stream was asked for.
    fn without_answer(&self, reason: &'static str) -> Answer {
        self.one_object(End { done: true, done_reason: Some(reason), ..End::NOT_YET })
    }

    /// So does who only wants to see the prompt, and is not even told that this is all.
    fn rendered(&self, request: &CallRequest) -> Answer {
        let said = request.messages.iter().flatten().map(|message| &message.content);
        let texts: Vec<&str> =
            said.chain([&request.prompt]).flatten().map(String::as_str).collect();
        let debug_info = Some(DebugInfo { rendered_template: texts.join("\n") });
        self.one_object(End { debug_info, ..End::NOT_YET })
    }

    fn one_object(&self, end: End) -> Answer {
        Answer::Whole {
            status: 200,
            content_type: JSON,
            body: Bytes::from(self.object(Said::default(), end)),
        }
    }
}

impl Dialect for Native {
    const STREAM_TYPE: &'static str = NDJSON;
    const WHOLE_TYPE: &'static str = JSON;

    fn chunk(&mut self, event: Event) -> Bytes {
        let nothing = Said::default();
        let mut line = match event {
            Event::Thinking(piece) => self.piece(Said { thinking: &piece, ..nothing }),
            Event::Text(piece) => self.piece(Said { content: &piece, ..nothing }),
            Event::ToolCall(call) => self.piece(Said { tool_calls: &[call], ..nothing }),
            Event::Done(done) => self.object(nothing, End::of(Some(done))),
            Event::Failed(message) => error_json(&message),
        };
        line.push(b'\n');
        Bytes::from(line)
    }

    fn whole(&mut self, answer: Gathered) -> Bytes {
        let mut end = End::of(answer.done);
        for text in [&answer.thinking, &answer.text] {
            end.logprobs.extend(logprobs::of(text, self.logprobs));
        }
        let said = Said {
            content: &answer.text,
            thinking: &answer.thinking,
            tool_calls: &answer.tool_calls,
        };
        Bytes::from(self.object(said, end))
    }
}
