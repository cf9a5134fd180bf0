//! A request as a guest builds it.

use roughneck_jobs::model::{Call, Delivery, Message, Tool, ToolCall};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::options;
use crate::{
    HostError, Session,
    held::{Held, Pool},
};

/// Everything one request holds: pictures are the bulk.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// What one call of a guest may carry, in bytes of the host's memory. The largest is a message that
/// fills a whole request; a little more is let in, so that the guest is told instead of trapping.
pub const CALL_BYTES_MAX: usize = REQUEST_BYTES_MAX + (1 << 20);

const MODEL_BYTES_MAX: usize = 256;
const MESSAGES_MAX: usize = 1000;
const IMAGES_MAX: usize = 64;
const TOOL_CALLS_MAX: usize = 64;
const TOOLS_MAX: usize = 64;
const STOPS_MAX: usize = 16;

/// Largest JSON Schema: Ollama turns it into a grammar, whose size no limit of ours bounds.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// A request in the making. A setter cannot fail in the contract, so the first mistake takes the
/// request's place, gives back what it held and is told when it is sent.
#[derive(Debug)]
pub struct Request(Result<Draft, HostError>);

#[derive(Debug)]
struct Draft {
    model: String,
    messages: Vec<Message>,
    tools: Vec<Tool>,
    response_schema: Option<String>,
    stop: Vec<String>,
    options: Map<String, Value>,
    held: Held,
}

impl Request {
    pub(super) fn new(model: String, pool: &Pool) -> Self {
        let fits = (1..=MODEL_BYTES_MAX).contains(&model.len());
        Self(check(fits, || format!("a model's name has 1 to {MODEL_BYTES_MAX} bytes")).map(|()| {
            Draft {
                model,
                messages: Vec::new(),
                tools: Vec::new(),
                response_schema: None,
                stop: Vec::new(),
                options: Map::new(),
                held: pool.request(REQUEST_BYTES_MAX),
            }
        }))
    }

    /// Adds a turn.
    pub fn push(&mut self, message: Message) {
        self.change(|draft| {
            at_most("a request", draft.messages.len() + 1, MESSAGES_MAX, "messages")?;
            at_most("a message", message.images.len(), IMAGES_MAX, "images")?;
            at_most("a message", message.tool_calls.len(), TOOL_CALLS_MAX, "tool calls")?;
            draft.held.take(held_bytes(&message))?;
            draft.messages.push(message);
            Ok(())
        });
    }

    /// Offers a tool.
    pub fn tool(&mut self, tool: Tool) {
        self.change(|draft| {
            at_most("a request", draft.tools.len() + 1, TOOLS_MAX, "tools")?;
            let text_bytes =
                tool.name.len() + tool.description.len() + tool.parameters_schema.len();
            draft.held.take(size_of::<Tool>() + text_bytes)?;
            check_schema("the schema of a tool", &tool.parameters_schema)?;
            draft.tools.push(tool);
            Ok(())
        });
    }

    /// The JSON Schema the answer must follow.
    pub fn response_schema(&mut self, schema: String) {
        self.change(|draft| {
            let former = draft.response_schema.as_ref().map_or(0, String::len);
            draft.held.exchange(former, schema.len())?;
            check_schema("the response schema", &schema)?;
            draft.response_schema = Some(schema);
            Ok(())
        });
    }

    /// How freely the model chooses; clamped to 0..=2.
    pub fn temperature(&mut self, temperature: f32) {
        self.number("temperature", f64::from(temperature));
    }

    /// Makes the answer repeatable.
    pub fn seed(&mut self, seed: u64) {
        // Ollama reads a signed integer; the upper half of the range folds onto the lower.
        let seed = i64::try_from(seed & (u64::MAX >> 1)).unwrap_or(0);
        self.change(|draft| {
            draft.options.insert("seed".to_owned(), Value::from(seed));
            Ok(())
        });
    }

    /// Most tokens to generate; at least 1.
    pub fn max_output_tokens(&mut self, tokens: u32) {
        self.number("num_predict", f64::from(tokens));
    }

    /// Texts that end the answer.
    pub fn stop(&mut self, sequences: Vec<String>) {
        self.change(|draft| {
            at_most("a request", sequences.len(), STOPS_MAX, "stop sequences")?;
            let bytes = |stop: &[String]| stop.iter().map(String::len).sum();
            draft.held.exchange(bytes(&draft.stop), bytes(&sequences))?;
            draft.stop = sequences;
            Ok(())
        });
    }

    /// Sets one of the allowed options, such as `ollama.num_ctx`.
    pub fn set_option(&mut self, key: &str, value: &str) {
        self.change(|draft| {
            let (name, value) = options::read(key, value)?;
            draft.options.insert(name.to_owned(), value);
            Ok(())
        });
    }

    /// The call this request stands for in `session`, and its share of what a run may hold. The kind's canonical
    /// context length applies unless the guest set one, so that calls of one kind never make Ollama reload the model.
    pub(super) fn call(
        self,
        session: &Session,
        delivery: Delivery,
    ) -> Result<(Call, Held), HostError> {
        let Draft { model, messages, tools, response_schema, stop, mut options, held } = self.0?;
        check(!messages.is_empty(), || {
            "a request needs at least one message; push one".to_owned()
        })?;
        if !stop.is_empty() {
            options.insert("stop".to_owned(), Value::from(stop));
        }
        if let Some(num_ctx) = session.num_ctx {
            options.entry("num_ctx").or_insert(Value::from(num_ctx));
        }
        let call = Call {
            plugin: session.plugin.clone(),
            payer: session.payer.clone(),
            rank: session.rank,
            priority: session.priority,
            model,
            messages,
            tools,
            response_schema,
            options,
            delivery,
        };
        Ok((call, held))
    }

    fn number(&mut self, name: &'static str, number: f64) {
        self.change(|draft| {
            check(!number.is_nan(), || format!("`{name}` is not a number"))?;
            if let Some(value) = options::number(name, number) {
                draft.options.insert(name.to_owned(), value);
            }
            Ok(())
        });
    }

    /// Changes the draft, unless a mistake has ended it.
    fn change(&mut self, change: impl FnOnce(&mut Draft) -> Result<(), HostError>) {
        if let Ok(draft) = &mut self.0
            && let Err(mistake) = change(draft)
        {
            self.0 = Err(mistake);
        }
    }
}

/// What a message holds: with a million empty pictures, the list of them is what counts.
pub(super) fn held_bytes(message: &Message) -> usize {
    let Message { role: _, text, images, tool_calls, tool_call_id } = message;
    let image_bytes = |image: &Vec<u8>| size_of::<Vec<u8>>() + image.len();
    let call_bytes = |call: &ToolCall| {
        size_of::<ToolCall>() + call.id.len() + call.name.len() + call.arguments_json.len()
    };
    size_of::<Message>()
        + text.len()
        + images.iter().map(image_bytes).sum::<usize>()
        + tool_calls.iter().map(call_bytes).sum::<usize>()
        + tool_call_id.as_ref().map_or(0, String::len)
}

/// It is checked and not kept: what a guest sends is parsed once, by the one who needs it.
fn check_schema(what: &str, text: &str) -> Result<(), HostError> {
    let fits = text.len() <= SCHEMA_BYTES_MAX;
    check(fits, || format!("{what} has at most {SCHEMA_BYTES_MAX} bytes"))?;
    let is_object =
        text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    check(is_object, || format!("{what} is not a JSON object"))
}

fn at_most(whole: &str, count: usize, max: usize, what: &str) -> Result<(), HostError> {
    check(count <= max, || format!("{whole} has at most {max} {what}"))
}

fn check(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), HostError> {
    if holds { Ok(()) } else { Err(HostError::fatal("invalid-request", sentence())) }
}
