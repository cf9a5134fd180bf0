//! The message that comes back in one piece.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::ollama::dialect::Gathered;
use crate::ollama::generation::Done;
use crate::ollama::tools::ToolCall;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'static str>,
    usage: Usage,
}

/// One part of the content.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text { text: String },
    ToolUse { id: String, name: String, input: Box<RawValue> },
    Thinking { thinking: String },
}

#[derive(Default, Serialize)]
pub(super) struct Usage {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

impl Usage {
    pub(super) fn of(done: &Done) -> Self {
        Self {
            input_tokens: done.metrics.prompt_eval_count,
            output_tokens: done.metrics.eval_count,
        }
    }
}

impl<'a> Message<'a> {
    /// The message before anything is said.
    pub(super) fn begun(id: &'a str, model: &'a str, usage: Usage) -> Self {
        Self {
            id,
            kind: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            usage,
        }
    }

    pub(super) fn whole(id: &'a str, model: &'a str, answer: Gathered) -> Self {
        let called = !answer.tool_calls.is_empty();
        let thinking = Some(answer.thinking).filter(|text| !text.is_empty());
        let text = Some(answer.text).filter(|text| !text.is_empty());
        let mut content: Vec<Block> =
            thinking.into_iter().map(|thinking| Block::Thinking { thinking }).collect();
        content.extend(text.into_iter().map(|text| Block::Text { text }));
        content.extend(answer.tool_calls.into_iter().map(|call| {
            let ToolCall { id, name, arguments, .. } = call;
            Block::ToolUse { id, name, input: arguments }
        }));
        let usage = answer.done.as_ref().map(Usage::of).unwrap_or_default();
        let stop_reason = answer.done.as_ref().map(|done| stop_reason(done, called));
        Self { content, stop_reason, ..Self::begun(id, model, usage) }
    }
}

pub(super) fn stop_reason(done: &Done, called: bool) -> &'static str {
    match done.reason {
        _ if called => "tool_use",
        "stop" => "end_turn",
        "length" => "max_tokens",
        _ => "stop_sequence",
    }
}
