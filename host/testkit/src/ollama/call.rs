//! What a chat or generate request asks for, decided before the runner is needed.

use std::sync::Arc;

use super::answer::{Format, compose};
use super::config::{Capability, Config, Model, time_for};
use super::images;
use super::keep_alive::KeepAlive;
use super::key::RunnerKey;
use super::names::whole;
use super::options::Options;
use super::reply::Reply;
use super::request::{CallRequest, Message};
use super::router::RUNNER_DIED;
use super::runner::Wanted;
use super::server::{Doing, Server};
use super::think::Effort;
use super::tools::{ToolCall, called};
use super::wire::Refusal;
use super::words::prompt_tokens;

/// Which of the two native routes a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Generate,
    Chat,
}

/// The three things that these routes do.
pub(super) enum Asked {
    /// Empty prompt and `keep_alive` 0: let go of the model.
    Unload(Arc<Model>),
    /// Empty prompt: load the model.
    Load(Wanted),
    /// Answer the prompt.
    Answer(Call),
}

/// A prompt to answer, and all that is known about the answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) wanted: Wanted,
    pub(super) prompt_tokens: u64,
    pub(super) thinking: String,
    pub(super) text: String,
    /// Calls of tools, after the text, which is empty if there are any.
    pub(super) tool_calls: Vec<ToolCall>,
    /// The prompt again, for the deprecated `context` that `/api/generate` ends with. Empty if none is wanted.
    pub(super) context_of: String,
    /// Most tokens to generate.
    pub(super) tokens_max: Option<u64>,
    pub(super) cut: Option<Cut>,
}

/// Where a scripted answer goes wrong.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) after_tokens: usize,
    pub(super) how: CutHow,
}

/// How a scripted answer goes wrong.
#[derive(Debug)]
pub(super) enum CutHow {
    Fail(String),
    Truncate,
    Stall,
    HangUp,
}

/// Decides what `request` asks for. The checks come in the order of upstream.
pub(super) fn decide(
    server: &Server,
    request: &CallRequest,
    route: Route,
) -> Result<Asked, Refusal> {
    let name = request.model.as_deref();
    let name = match route {
        Route::Generate => looked_for(name)?,
        Route::Chat => required(name)?,
    };
    if !(0..=20).contains(&request.top_logprobs.unwrap_or(0)) {
        return Err(Refusal::new(400, "top_logprobs must be between 0 and 20"));
    }
    let keep_alive = keep_alive(request.keep_alive.as_ref(), &server.config)?;
    let missing = Refusal::new(404, format!("model '{name}' not found"));
    let model = server.meant(name, Doing::Inference, missing)?;

    let empty = match route {
        Route::Generate => text(request.prompt.as_ref()).is_empty(),
        Route::Chat => messages(request).is_empty(),
    };
    if empty && keep_alive == KeepAlive::UNLOAD {
        return Ok(Asked::Unload(model));
    }
    check_capabilities(&model, name, request, route)?;
    let options = Options::over(&model, request.options.as_ref())?;
    let wanted = Wanted {
        key: RunnerKey::of(&model, &options, request.shift, server.config.context_length),
        model,
        keep_alive,
    };
    if server.faults.breaks(&wanted.model.name) {
        server.runner.clear();
        return Err(Refusal::new(500, RUNNER_DIED));
    }
    if empty {
        return Ok(Asked::Load(wanted));
    }
    answer(server, request, route, wanted, &options).map(Asked::Answer)
}

fn answer(
    server: &Server,
    request: &CallRequest,
    route: Route,
    wanted: Wanted,
    options: &Options,
) -> Result<Call, Refusal> {
    let format = Format::parse(request.format.as_deref())?;
    let asked = prompt_tokens(match route {
        Route::Generate => vec![
            text(request.system.as_ref()),
            text(request.prompt.as_ref()),
            text(request.suffix.as_ref()),
        ],
        Route::Chat => {
            messages(request).iter().map(|message| text(message.content.as_ref())).collect()
        }
    });
    let asked = asked + images::tokens(&images(request))?;
    let prompt_tokens = within_context(asked, wanted.key.num_ctx, request.truncate)?;
    let prompt = match route {
        Route::Generate => text(request.prompt.as_ref()),
        Route::Chat => last_question(messages(request)),
    };
    let mut answer = compose(prompt, &format, server.config.answer_words);
    let first_stop =
        options.stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| answer.find(stop));
    if let Some(end) = first_stop.min() {
        answer.truncate(end);
    }
    let tool_calls = match (route, request.tools.as_deref()) {
        (Route::Chat, Some(tools)) if !has_results(request) => called(tools, prompt),
        (Route::Chat | Route::Generate, _) => Vec::new(),
    };
    Ok(Call {
        wanted,
        prompt_tokens,
        thinking: Effort::parse(request.think.as_ref())?.thoughts(prompt),
        text: if tool_calls.is_empty() { answer } else { String::new() },
        tool_calls,
        context_of: match route {
            Route::Generate if request.raw != Some(true) => prompt.to_owned(),
            Route::Generate | Route::Chat => String::new(),
        },
        tokens_max: options.num_predict,
        cut: None,
    })
}

impl Call {
    /// Applies a scripted reply. [`Reply::Status`] is not one for a call that runs; it is given back.
    pub(super) fn follow(&mut self, reply: Reply) -> Option<(u16, String)> {
        let cut = |after_tokens, how| Some(Cut { after_tokens, how });
        match reply {
            Reply::Text(text) => {
                self.text = text;
                self.tool_calls.clear();
            }
            Reply::ToolCalls(calls) => {
                self.text.clear();
                let calls = calls.into_iter().enumerate();
                self.tool_calls = calls
                    .filter_map(|(index, (name, arguments))| ToolCall::new(index, &name, arguments))
                    .collect();
            }
            Reply::Status(status, body) => return Some((status, body)),
            Reply::MidStreamError { after_tokens, message } => {
                self.cut = cut(after_tokens, CutHow::Fail(message));
            }
            Reply::Truncate { after_tokens } => self.cut = cut(after_tokens, CutHow::Truncate),
            Reply::Stall { after_tokens } => self.cut = cut(after_tokens, CutHow::Stall),
            Reply::Disconnect { after_tokens } => self.cut = cut(after_tokens, CutHow::HangUp),
        }
        None
    }

    /// What reading the prompt takes. Nothing is cached: every prompt is read anew.
    pub(super) fn prefill_time(&self) -> std::time::Duration {
        time_for(self.prompt_tokens, self.wanted.model.prefill_tokens_per_s)
    }

    /// What one token takes.
    pub(super) fn token_time(&self) -> std::time::Duration {
        time_for(1, self.wanted.model.decode_tokens_per_s)
    }
}

/// The name of the model, on a route that looks for one that has no name.
pub(super) fn looked_for(name: Option<&str>) -> Result<&str, Refusal> {
    required(name).map_err(|_nameless| Refusal::new(404, "model '' not found"))
}

/// The name of the model, which every route needs.
pub(super) fn required(name: Option<&str>) -> Result<&str, Refusal> {
    name.filter(|name| !name.is_empty()).ok_or_else(|| Refusal::new(400, "model is required"))
}

/// The keep-alive of a request, or the server's.
pub(super) fn keep_alive(
    field: Option<&serde_json::Value>,
    config: &Config,
) -> Result<KeepAlive, Refusal> {
    let asked = match field {
        Some(field) => KeepAlive::parse(field).map_err(|text| Refusal::new(400, text))?,
        None => None,
    };
    Ok(asked.unwrap_or(KeepAlive::For(config.keep_alive)))
}

/// Prompt tokens after truncation to the context. Upstream drops the oldest messages; here only the count matters.
pub(super) fn within_context(
    tokens: u64,
    num_ctx: u64,
    truncate: Option<bool>,
) -> Result<u64, Refusal> {
    if tokens > num_ctx && truncate == Some(false) {
        return Err(Refusal::new(400, "the input length exceeds the context length"));
    }
    Ok(tokens.min(num_ctx))
}

fn check_capabilities(
    model: &Model,
    name: &str,
    request: &CallRequest,
    route: Route,
) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(400, message));
    if route == Route::Generate
        && request.raw == Some(true)
        && (request.template.is_some() || request.system.is_some() || request.context.is_some())
    {
        return refuse("raw mode does not support template, system, or context".to_owned());
    }
    if Effort::parse(request.think.as_ref())? != Effort::Off && !model.can(Capability::Thinking) {
        return refuse(format!("{name:?} does not support thinking"));
    }
    if !model.can(Capability::Completion) {
        let what = match route {
            Route::Generate => "generate",
            Route::Chat => "chat",
        };
        return refuse(format!("{name:?} does not support {what}"));
    }
    // The only one of these that upstream says of the model's own name, and not of the client's for it.
    let has_tools = request.tools.as_ref().is_some_and(|tools| !tools.is_empty());
    if has_tools && !model.can(Capability::Tools) {
        return refuse(format!("{} does not support tools", whole(&model.name)));
    }
    Ok(())
}

/// What the answer is about: the last message with a text of the user, or with the result of a tool.
fn last_question(messages: &[Message]) -> &str {
    let asked = |message: &&Message| {
        let by = message.role.as_deref();
        [Some("user"), Some("tool")].contains(&by) && !text(message.content.as_ref()).is_empty()
    };
    let message = messages.iter().rev().find(asked).or(messages.last());
    message.map_or("", |message| text(message.content.as_ref()))
}

/// Whether the tools were called already, so that an answer in words is due.
fn has_results(request: &CallRequest) -> bool {
    messages(request).last().is_some_and(|message| message.role.as_deref() == Some("tool"))
}

fn images(request: &CallRequest) -> Vec<String> {
    let of_chat = messages(request).iter().filter_map(|message| message.images.as_ref());
    request.images.iter().chain(of_chat).flatten().cloned().collect()
}

fn messages(request: &CallRequest) -> &[Message] {
    request.messages.as_deref().unwrap_or_default()
}

fn text(field: Option<&String>) -> &str {
    field.map_or("", String::as_str)
}
