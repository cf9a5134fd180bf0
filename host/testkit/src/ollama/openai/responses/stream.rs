//! The response as a stream of events. Each has a name, a number, and its fields in the order of the alphabet.

use serde_json::{Value, json};

use super::object::{Echo, function_call, message, reasoning, text_part};
use crate::ollama::generation::{Done, Event};
use crate::ollama::tools::ToolCall;
use crate::ollama::wire::go_json;

/// One response, as far as it has come.
pub(super) struct Stream {
    pub(super) echo: Echo,
    number: String,
    begun: bool,
    /// The number of the next event.
    sequence: u64,
    /// What is complete.
    output: Vec<Value>,
    thinking: Option<String>,
    text: Option<String>,
    bytes: Vec<u8>,
}

impl Stream {
    pub(super) fn new(number: &str, echo: Echo) -> Self {
        Self {
            echo,
            number: number.to_owned(),
            begun: false,
            sequence: 0,
            output: Vec::new(),
            thinking: None,
            text: None,
            bytes: Vec::new(),
        }
    }

    pub(super) fn number(&self) -> &str {
        &self.number
    }

    /// The bytes that one event of the answer becomes. An error in the middle becomes none, as upstream.
    pub(super) fn events(&mut self, event: Event) -> Vec<u8> {
        if !std::mem::replace(&mut self.begun, true) {
            for name in ["response.created", "response.in_progress"] {
                let response = self.echo.in_progress(&self.number);
                self.push(name, json!({"response": response}));
            }
        }
        match event {
            Event::Thinking(piece) => self.think(&piece),
            Event::Text(piece) => self.say(&piece),
            Event::ToolCall(call) => self.call(&call),
            Event::Done(done) => self.end(&done),
            Event::Failed(_lost) => {}
        }
        std::mem::take(&mut self.bytes)
    }

    fn push(&mut self, name: &str, mut data: Value) {
        if let Some(fields) = data.as_object_mut() {
            fields.insert("type".to_owned(), Value::from(name));
            fields.insert("sequence_number".to_owned(), Value::from(self.sequence));
        }
        self.sequence += 1;
        let head = format!("event: {name}\ndata: ");
        self.bytes.extend([head.as_bytes(), go_json(&data).as_slice(), b"\n\n"].concat());
    }

    /// The place of the item that is being made.
    fn place(&self) -> usize {
        self.output.len()
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}_{}", self.number)
    }

    fn think(&mut self, piece: &str) {
        let (id, place) = (self.id("rs"), self.place());
        if self.thinking.is_none() {
            let item = json!({"id": id, "type": "reasoning", "summary": []});
            self.push("response.output_item.added", json!({"output_index": place, "item": item}));
        }
        self.thinking.get_or_insert_default().push_str(piece);
        self.push(
            "response.reasoning_summary_text.delta",
            json!({"item_id": id, "output_index": place, "summary_index": 0, "delta": piece}),
        );
    }

    fn end_thinking(&mut self) {
        let Some(thinking) = self.thinking.take() else {
            return;
        };
        let (id, place) = (self.id("rs"), self.place());
        self.push(
            "response.reasoning_summary_text.done",
            json!({"item_id": id, "output_index": place, "summary_index": 0, "text": thinking}),
        );
        self.finish_item(reasoning(&id, &thinking));
    }

    fn say(&mut self, piece: &str) {
        self.end_thinking();
        let (id, place) = (self.id("msg"), self.place());
        if self.text.is_none() {
            let item = json!({
                "id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": [],
            });
            self.push("response.output_item.added", json!({"output_index": place, "item": item}));
            self.push(
                "response.content_part.added",
                json!({
                    "item_id": id, "output_index": place, "content_index": 0, "part": text_part(""),
                }),
            );
        }
        self.text.get_or_insert_default().push_str(piece);
        self.push(
            "response.output_text.delta",
            json!({
                "item_id": id, "output_index": place, "content_index": 0, "delta": piece, "logprobs": [],
            }),
        );
    }

    fn end_text(&mut self) {
        let Some(text) = self.text.take() else {
            return;
        };
        let (id, place) = (self.id("msg"), self.place());
        self.push(
            "response.output_text.done",
            json!({
                "item_id": id, "output_index": place, "content_index": 0, "text": text, "logprobs": [],
            }),
        );
        self.push(
            "response.content_part.done",
            json!({
                "item_id": id, "output_index": place, "content_index": 0, "part": text_part(&text),
            }),
        );
        self.finish_item(message(&id, &text));
    }

    fn call(&mut self, call: &ToolCall) {
        self.end_thinking();
        let (id, place) = (format!("{}_{}", self.id("fc"), call.index), self.place());
        let arguments = call.arguments.get();
        self.push(
            "response.output_item.added",
            json!({"output_index": place, "item": function_call(&id, call, "in_progress", "")}),
        );
        self.push(
            "response.function_call_arguments.delta",
            json!({"item_id": id, "output_index": place, "delta": arguments}),
        );
        self.push(
            "response.function_call_arguments.done",
            json!({"item_id": id, "output_index": place, "arguments": arguments}),
        );
        self.finish_item(function_call(&id, call, "completed", arguments));
    }

    fn finish_item(&mut self, item: Value) {
        let place = self.place();
        self.push("response.output_item.done", json!({"output_index": place, "item": item}));
        self.output.push(item);
    }

    fn end(&mut self, done: &Done) {
        self.end_thinking();
        self.end_text();
        let response = self.echo.completed(&self.number, self.output.clone(), done);
        self.push("response.completed", json!({"response": response}));
    }
}
