//! The response as an object, which repeats what it was asked with.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ollama::clock::wall_now;
use crate::ollama::dialect::Gathered;
use crate::ollama::generation::Done;
use crate::ollama::tools::ToolCall;
use crate::ollama::wire::{Refusal, first_value};

/// The fields of a request that its response repeats.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Echo {
    model: Option<String>,
    instructions: Option<String>,
    truncation: Option<String>,
    tools: Option<Vec<Value>>,
    text: Option<Value>,
    top_p: Option<f64>,
    temperature: Option<f64>,
    reasoning: Option<Value>,
    max_output_tokens: Option<u64>,
    background: bool,
}

/// A whole response. A stream has the same fields, sorted by name.
#[derive(Serialize)]
pub(super) struct Response {
    id: String,
    object: &'static str,
    created_at: i64,
    completed_at: Option<i64>,
    status: &'static str,
    incomplete_details: Option<()>,
    model: String,
    previous_response_id: Option<()>,
    instructions: Option<String>,
    output: Vec<Value>,
    error: Option<()>,
    tools: Vec<Value>,
    tool_choice: &'static str,
    truncation: String,
    parallel_tool_calls: bool,
    text: Value,
    top_p: f64,
    presence_penalty: u8,
    frequency_penalty: u8,
    top_logprobs: u8,
    temperature: f64,
    reasoning: Option<Value>,
    usage: Option<Value>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<()>,
    store: bool,
    background: bool,
    service_tier: &'static str,
    metadata: Value,
    safety_identifier: Option<()>,
    prompt_cache_key: Option<()>,
}

impl Echo {
    pub(super) fn of(body: &[u8]) -> Result<Self, Refusal> {
        first_value(body)
    }

    /// The response as it begins.
    pub(super) fn in_progress(&self, number: &str) -> Response {
        let given = |value: &Option<Value>| value.clone().filter(|value| !value.is_null());
        let text = given(&self.text).filter(|text| text.get("format").is_some());
        Response {
            id: format!("resp_{number}"),
            object: "response",
            created_at: wall_now().as_second(),
            completed_at: None,
            status: "in_progress",
            incomplete_details: None,
            model: self.model.clone().unwrap_or_default(),
            previous_response_id: None,
            instructions: self.instructions.clone().filter(|text| !text.is_empty()),
            output: Vec::new(),
            error: None,
            tools: self.tools.clone().unwrap_or_default(),
            tool_choice: "auto",
            truncation: self.truncation.clone().unwrap_or_else(|| "disabled".to_owned()),
            parallel_tool_calls: true,
            text: text.unwrap_or_else(|| json!({"format": {"type": "text"}})),
            top_p: self.top_p.unwrap_or(1.0),
            presence_penalty: 0,
            frequency_penalty: 0,
            top_logprobs: 0,
            temperature: self.temperature.unwrap_or(1.0),
            reasoning: given(&self.reasoning),
            usage: None,
            max_output_tokens: self.max_output_tokens,
            max_tool_calls: None,
            store: false,
            background: self.background,
            service_tier: "default",
            metadata: json!({}),
            safety_identifier: None,
            prompt_cache_key: None,
        }
    }

    /// The response as it ends.
    pub(super) fn completed(&self, number: &str, output: Vec<Value>, done: &Done) -> Response {
        Response {
            completed_at: Some(wall_now().as_second()),
            status: "completed",
            output,
            usage: Some(usage(done)),
            ..self.in_progress(number)
        }
    }

    /// The response to a request without a stream.
    pub(super) fn whole(&self, number: &str, answer: Gathered) -> Response {
        let mut output = Vec::new();
        if !answer.thinking.is_empty() {
            output.push(reasoning(&format!("rs_resp_{number}"), &answer.thinking));
        }
        if answer.tool_calls.is_empty() {
            output.push(message(&format!("msg_{number}"), &answer.text));
        }
        let calls = answer.tool_calls.iter();
        output.extend(calls.map(|call| {
            let id = format!("fc_resp_{number}_{}", call.index);
            function_call(&id, call, "completed", call.arguments.get())
        }));
        match answer.done {
            Some(done) => self.completed(number, output, &done),
            None => Response { output, ..self.in_progress(number) },
        }
    }
}

fn usage(done: &Done) -> Value {
    let (read, written) = (done.metrics.prompt_eval_count, done.metrics.eval_count);
    json!({
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    })
}

pub(super) fn message(id: &str, text: &str) -> Value {
    json!({
        "id": id,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [text_part(text)],
    })
}

pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// A thought, which is not encrypted here either.
pub(super) fn reasoning(id: &str, thinking: &str) -> Value {
    json!({
        "id": id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": thinking}],
        "encrypted_content": thinking,
    })
}

pub(super) fn function_call(id: &str, call: &ToolCall, status: &str, arguments: &str) -> Value {
    json!({
        "id": id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    })
}
