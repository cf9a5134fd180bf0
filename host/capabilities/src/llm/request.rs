//! A request as a guest builds it.

use roughneck_jobs::model::{Call, Message, Tool};
use serde_json::{Map, Value};

use super::options;
use crate::{
    HostError, clip,
    held::{Held, Pool},
};

/// Everything one request holds: pictures are the bulk.
const REQUEST_BYTES_MAX: usize = 32 << 20;

const MODEL_BYTES_MAX: usize = 256;
const MESSAGES_MAX: usize = 1000;
const TOOLS_MAX: usize = 64;
const STOPS_MAX: usize = 16;

/// A request in the making. A setter cannot fail in the contract, so the first mistake is kept and
/// told when the request is sent.
#[derive(Debug)]
pub struct Request {
    model: String,
    messages: Vec<Message>,
    tools: Vec<Tool>,
    response_schema: Option<String>,
    options: Map<String, Value>,
    mistake: Option<HostError>,
    held: Held,
}

impl Request {
    pub(super) fn new(model: String, pool: &Pool) -> Self {
        let mut request = Self {
            model: String::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            response_schema: None,
            options: Map::new(),
            mistake: None,
            held: pool.request(REQUEST_BYTES_MAX),
        };
        let fits = (1..=MODEL_BYTES_MAX).contains(&model.len());
        if request.check(fits, &format!("a model's name has 1 to {MODEL_BYTES_MAX} bytes")) {
            request.model = model;
        }
        request
    }

    /// Adds a turn.
    pub fn push(&mut self, message: Message) {
        let images: usize = message.images.iter().map(Vec::len).sum();
        let calls = message.tool_calls.iter().map(|call| {
            call.id.len().saturating_add(call.name.len()).saturating_add(call.arguments_json.len())
        });
        let bytes = message.text.len().saturating_add(images).saturating_add(calls.sum());
        let fits = self.messages.len() < MESSAGES_MAX;
        if self.check(fits, &format!("a request has at most {MESSAGES_MAX} messages"))
            && self.take(bytes)
        {
            self.messages.push(message);
        }
    }

    /// Offers a tool.
    pub fn tool(&mut self, tool: Tool) {
        let bytes = tool.name.len() + tool.description.len() + tool.parameters_schema.len();
        let fits = self.tools.len() < TOOLS_MAX;
        if self.check(fits, &format!("a request offers at most {TOOLS_MAX} tools"))
            && self.is_json_object("the schema of a tool", &tool.parameters_schema)
            && self.take(bytes)
        {
            self.tools.push(tool);
        }
    }

    /// The JSON Schema the answer must follow.
    pub fn response_schema(&mut self, schema: String) {
        if self.is_json_object("the response schema", &schema) && self.take(schema.len()) {
            self.response_schema = Some(schema);
        }
    }

    /// How freely the model chooses; clamped to 0..=2.
    pub fn temperature(&mut self, temperature: f32) {
        self.number("temperature", f64::from(temperature));
    }

    /// Makes the answer repeatable.
    pub fn seed(&mut self, seed: u64) {
        // Ollama reads a signed integer; the upper half of the range folds onto the lower.
        let seed = i64::try_from(seed & (u64::MAX >> 1)).unwrap_or(0);
        self.options.insert("seed".to_owned(), Value::from(seed));
    }

    /// Most tokens to generate; at least 1.
    pub fn max_output_tokens(&mut self, tokens: u32) {
        self.number("num_predict", f64::from(tokens));
    }

    /// Texts that end the answer.
    pub fn stop(&mut self, sequences: Vec<String>) {
        let bytes: usize = sequences.iter().map(String::len).sum();
        let fits = sequences.len() <= STOPS_MAX;
        if self.check(fits, &format!("a request has at most {STOPS_MAX} stop sequences"))
            && self.take(bytes)
        {
            self.options.insert("stop".to_owned(), Value::from(sequences));
        }
    }

    /// Sets one of the allowed options, such as `ollama.num_ctx`.
    pub fn set_option(&mut self, key: &str, value: &str) {
        match options::read(key, value) {
            Ok((name, value)) => _ = self.options.insert(name.to_owned(), value),
            Err(error) => _ = self.mistake.get_or_insert(error),
        }
    }

    /// The call this request stands for. `num_ctx` is the kind's canonical context length: it applies
    /// unless the guest set one, so that calls of one kind never make Ollama reload the model.
    pub(super) fn call(&self, plugin: &str, num_ctx: Option<u32>) -> Result<Call, HostError> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        if self.messages.is_empty() {
            return Err(invalid("a request needs at least one message; push one"));
        }
        let mut options = self.options.clone();
        if let Some(num_ctx) = num_ctx {
            options.entry("num_ctx").or_insert(Value::from(num_ctx));
        }
        Ok(Call {
            plugin: plugin.to_owned(),
            model: self.model.clone(),
            messages: self.messages.clone(),
            tools: self.tools.clone(),
            response_schema: self.response_schema.clone(),
            options,
        })
    }

    fn number(&mut self, name: &'static str, number: f64) {
        if self.check(!number.is_nan(), &format!("`{name}` is not a number"))
            && let Some(value) = options::number(name, number)
        {
            self.options.insert(name.to_owned(), value);
        }
    }

    fn is_json_object(&mut self, what: &str, text: &str) -> bool {
        let is_object = text.len() <= REQUEST_BYTES_MAX
            && serde_json::from_str::<Map<String, Value>>(text).is_ok();
        self.check(is_object, &format!("{what} is not a JSON object"))
    }

    fn take(&mut self, bytes: usize) -> bool {
        let taken = self.held.take(bytes);
        let is_taken = taken.is_ok();
        if let Err(error) = taken {
            self.mistake.get_or_insert(error);
        }
        is_taken
    }

    fn check(&mut self, holds: bool, sentence: &str) -> bool {
        if !holds {
            self.mistake.get_or_insert(invalid(sentence));
        }
        holds
    }
}

fn invalid(sentence: &str) -> HostError {
    HostError::fatal("invalid-request", clip(sentence, 512))
}
