//! The message as a stream of named events: blocks begin, grow and end, one after the other.

use serde::Serialize;
use serde_json::value::RawValue;

use super::response::{Block, Message, Usage, stop_reason};
use crate::ollama::generation::{Done, Event};
use crate::ollama::tools::ToolCall;
use crate::ollama::wire::go_json;

/// One message, as far as it has come.
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) model: String,
    /// What the client is told that its prompt cost, until it is known.
    estimated_tokens: u64,
    begun: bool,
    /// The kind of block that is open.
    open: Option<Kind>,
    /// The number of the next block to end.
    index: u64,
    called: bool,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

/// What is sent, by the name of the event.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Sent<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u64, content_block: Block },
    ContentBlockDelta { index: u64, delta: Delta<'a> },
    ContentBlockStop { index: u64 },
    MessageDelta { delta: End, usage: Usage },
    MessageStop,
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
}

#[derive(Serialize)]
struct End {
    stop_reason: &'static str,
}

impl Sent<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let head = format!("event: {}\ndata: ", self.name());
        [head.as_bytes(), go_json(self).as_slice(), b"\n\n"].concat()
    }
}

impl Stream {
    pub(super) fn new(id: String, model: String, estimated_tokens: u64) -> Self {
        Self {
            id,
            model,
            estimated_tokens,
            begun: false,
            open: None,
            index: 0,
            called: false,
            bytes: Vec::new(),
        }
    }

    /// The bytes that one event of the answer becomes.
    pub(super) fn events(&mut self, event: Event) -> Vec<u8> {
        if !std::mem::replace(&mut self.begun, true) {
            let usage = Usage { input_tokens: self.estimated_tokens, output_tokens: 0 };
            let message = Message::begun(&self.id, &self.model, usage);
            self.bytes = Sent::MessageStart { message }.bytes();
        }
        match event {
            Event::Thinking(piece) => {
                self.grow(Kind::Thinking, Delta::Thinking { thinking: &piece });
            }
            Event::Text(piece) => self.grow(Kind::Text, Delta::Text { text: &piece }),
            Event::ToolCall(call) => self.call(call),
            Event::Done(done) => self.end(&done),
            Event::Failed(_lost) => {}
        }
        std::mem::take(&mut self.bytes)
    }

    fn push(&mut self, sent: &Sent<'_>) {
        self.bytes.extend(sent.bytes());
    }

    /// Adds to the open block, and opens it first if need be.
    fn grow(&mut self, kind: Kind, delta: Delta<'_>) {
        if self.open != Some(kind) {
            self.close();
            let content_block = match kind {
                Kind::Text => Block::Text { text: String::new() },
                Kind::Thinking => Block::Thinking { thinking: String::new() },
            };
            self.push(&Sent::ContentBlockStart { index: self.index, content_block });
            self.open = Some(kind);
        }
        self.push(&Sent::ContentBlockDelta { index: self.index, delta });
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.push(&Sent::ContentBlockStop { index: self.index });
            self.index += 1;
        }
    }

    fn call(&mut self, call: ToolCall) {
        self.close();
        self.called = true;
        let index = self.index;
        // Clients put the input together from the deltas.
        let input = empty_object();
        let content_block = Block::ToolUse { id: call.id, name: call.name, input };
        self.push(&Sent::ContentBlockStart { index, content_block });
        let delta = Delta::InputJson { partial_json: call.arguments.get() };
        self.push(&Sent::ContentBlockDelta { index, delta });
        self.push(&Sent::ContentBlockStop { index });
        self.index += 1;
    }

    fn end(&mut self, done: &Done) {
        self.close();
        let delta = End { stop_reason: stop_reason(done, self.called) };
        self.push(&Sent::MessageDelta { delta, usage: Usage::of(done) });
        self.push(&Sent::MessageStop);
    }
}

fn empty_object() -> Box<RawValue> {
    // Braces are JSON; `null` is what comes back if that ever changes.
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_never| RawValue::NULL.to_owned())
}
