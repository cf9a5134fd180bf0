//! The body of `/v1/messages`, and the chat that it becomes.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ollama::request::{CallRequest, Message};
use crate::ollama::schema::Schema;
use crate::ollama::tools::{Function, Tool};
use crate::ollama::wire::Refusal;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    pub(super) model: Option<String>,
    max_tokens: i64,
    messages: Vec<Said>,
    system: Option<Value>,
    /// Absent is false here.
    stream: Option<bool>,
    stop_sequences: Option<Vec<String>>,
    tools: Option<Vec<OfferedTool>>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
}

/// One message: a text, or blocks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    role: String,
    content: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OfferedTool {
    name: Option<String>,
    input_schema: Option<Schema>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputConfig {
    effort: String,
}

impl Request {
    /// What upstream asks of a request before it looks any closer.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let wrong = if self.model.as_deref().unwrap_or_default().is_empty() {
            "model is required"
        } else if self.max_tokens <= 0 {
            "max_tokens is required and must be positive"
        } else if self.messages.is_empty() {
            "messages is required"
        } else {
            return Ok(());
        };
        Err(Refusal::new(400, wrong))
    }

    /// A quarter of the letters: what a stream says that it read before it knows better.
    pub(super) fn estimated_tokens(&self) -> u64 {
        let system = self.system.as_ref().map_or(0, |system| texts(system).len());
        let letters = |said: &Said| said.role.len() + texts(&said.content).len();
        let all = system + self.messages.iter().map(letters).sum::<usize>();
        (all as u64 / 4).max(1)
    }

    pub(super) fn translated(self) -> Result<CallRequest, Refusal> {
        let mut options = Map::new();
        options.insert("num_predict".to_owned(), Value::from(self.max_tokens));
        if let Some(stop) = self.stop_sequences.filter(|stop| !stop.is_empty()) {
            options.insert("stop".to_owned(), Value::from(stop));
        }
        let system = self.system.map(|system| texts(&system)).filter(|text| !text.is_empty());
        let mut messages: Vec<Message> =
            system.into_iter().map(|text| message("system", text, Vec::new())).collect();
        for said in &self.messages {
            messages.extend(said.translated()?);
        }
        let tools = self.tools.map(|tools| {
            let tool = |tool: OfferedTool| Tool {
                function: Some(Function { name: tool.name, parameters: tool.input_schema }),
            };
            tools.into_iter().map(tool).collect()
        });
        Ok(CallRequest {
            model: self.model,
            messages: Some(messages),
            tools,
            options: Some(options),
            think: think(self.thinking.as_ref(), self.output_config.as_ref()),
            stream: self.stream,
            ..CallRequest::default()
        })
    }
}

impl Said {
    /// The results of tools as messages of their own, before the rest.
    fn translated(&self) -> Result<Vec<Message>, Refusal> {
        let Value::Array(blocks) = &self.content else {
            return Ok(vec![message(&self.role, texts(&self.content), Vec::new())]);
        };
        let mut messages = Vec::new();
        let mut images = Vec::new();
        let mut says_something = false;
        for block in blocks {
            match field(block, "type") {
                "image" => images.push(image(block.get("source"))?),
                "tool_result" => {
                    let content = block.get("content").map(texts).unwrap_or_default();
                    messages.push(message("tool", content, Vec::new()));
                }
                "text" | "thinking" | "tool_use" => says_something = true,
                _ => {}
            }
        }
        if says_something || !images.is_empty() {
            messages.push(message(&self.role, texts(&self.content), images));
        }
        Ok(messages)
    }
}

fn message(role: &str, content: String, images: Vec<String>) -> Message {
    Message {
        role: Some(role.to_lowercase()),
        content: Some(content),
        images: (!images.is_empty()).then_some(images),
    }
}

/// A text, or the texts of all blocks.
fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let of_text = blocks.iter().filter(|block| field(block, "type") == "text");
            of_text.map(|block| field(block, "text")).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn image(source: Option<&Value>) -> Result<String, Refusal> {
    let Some(source) = source else {
        return Err(Refusal::new(400, "invalid image source"));
    };
    match field(source, "type") {
        "base64" => Ok(field(source, "data").to_owned()),
        kind => Err(Refusal::new(
            400,
            format!("invalid image source type: {kind}. Only base64 images are supported."),
        )),
    }
}

fn field<'a>(block: &'a Value, name: &str) -> &'a str {
    block.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `thinking` says whether, `output_config` how hard, and the first wins.
fn think(thinking: Option<&Thinking>, config: Option<&OutputConfig>) -> Option<Value> {
    match thinking.map(|thinking| thinking.kind.as_str()) {
        Some("enabled") => return Some(Value::Bool(true)),
        Some("disabled") => return Some(Value::Bool(false)),
        Some(_) | None => {}
    }
    let effort = config.map(|config| config.effort.trim().to_lowercase()).unwrap_or_default();
    match effort.as_str() {
        "xhigh" => Some(Value::from("high")),
        "low" | "medium" | "high" | "max" => Some(Value::from(effort)),
        _ => None,
    }
}
