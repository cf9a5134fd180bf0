//! `/v1/responses`: OpenAI's later shape of a chat, in one piece or as named events.

mod input;
mod object;
mod stream;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ollama::call::Route;
use crate::ollama::dialect::{Dialect, Gathered};
use crate::ollama::generation::Event;
use crate::ollama::log::Recording;
use crate::ollama::request::CallRequest;
use crate::ollama::schema::Schema;
use crate::ollama::server::Server;
use crate::ollama::think;
use crate::ollama::tools::{Function, Tool};
use crate::ollama::translated::Entered;
use crate::ollama::wire::{Answer, Refusal, SSE, TRANSLATED_JSON, first_value, json_line};
use object::Echo;
use stream::Stream;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    input: Option<Value>,
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
    reasoning: Option<Reasoning>,
    text: Option<TextOptions>,
    tools: Option<Vec<OfferedTool>>,
    /// Absent is false here.
    stream: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning {
    effort: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TextOptions {
    format: Option<TextFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TextFormat {
    #[serde(rename = "type")]
    kind: String,
    schema: Option<Box<RawValue>>,
}

/// A tool, whose fields lie one level higher than in the other shapes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OfferedTool {
    name: Option<String>,
    parameters: Option<Schema>,
}

/// Answers `/v1/responses`.
pub(in crate::ollama) async fn responses(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let entered = Entered::now(server, recording);
    let request: Request = first_value(body)?;
    let number = server.next_id("");
    let dialect = Responses { stream: Stream::new(&number, Echo::of(body)?) };
    entered.answer(translated(request)?, Route::Chat, dialect).await
}

fn translated(request: Request) -> Result<CallRequest, Refusal> {
    let mut options = Map::new();
    if let Some(max) = request.max_output_tokens {
        options.insert("num_predict".to_owned(), Value::from(max));
    }
    let effort = request.reasoning.and_then(|reasoning| reasoning.effort);
    let format = request.text.and_then(|text| text.format);
    let tools = request.tools.map(|tools| {
        let tool = |tool: OfferedTool| Tool {
            function: Some(Function { name: tool.name, parameters: tool.parameters }),
        };
        tools.into_iter().map(tool).collect()
    });
    Ok(CallRequest {
        model: request.model,
        messages: Some(input::messages(request.instructions, request.input)?),
        tools,
        format: format.filter(|format| format.kind == "json_schema").and_then(|one| one.schema),
        options: Some(options),
        think: think::of_openai(effort.as_deref().unwrap_or_default())?,
        stream: request.stream,
        ..CallRequest::default()
    })
}

struct Responses {
    stream: Stream,
}

impl Dialect for Responses {
    const STREAM_TYPE: &'static str = SSE;
    const WHOLE_TYPE: &'static str = TRANSLATED_JSON;

    fn chunk(&mut self, event: Event) -> Bytes {
        Bytes::from(self.stream.events(event))
    }

    fn whole(&mut self, answer: Gathered) -> Bytes {
        Bytes::from(json_line(&self.stream.echo.whole(self.stream.number(), answer)))
    }
}
