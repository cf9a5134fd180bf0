//! One line of a streamed answer.

use roughneck_jobs::model::{Piece, ToolCall};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A line of `/api/chat`. Unknown fields are ignored: newer Ollamas add some.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chunk {
    /// Set on the line that breaks an answer off; the HTTP status was 200 long before.
    pub(crate) error: Option<String>,
    message: Option<ChunkMessage>,
    pub(crate) done: bool,
    pub(crate) done_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ChunkMessage {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<ChunkToolCall>>,
}

#[derive(Debug, Deserialize)]
struct ChunkToolCall {
    #[serde(default)]
    id: Option<String>,
    function: ChunkFunction,
}

#[derive(Debug, Deserialize)]
struct ChunkFunction {
    name: String,
    /// Raw, because the order of its keys is the model's.
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

impl Chunk {
    /// What was thought and said, in this order; nothing for an empty line.
    pub(crate) fn take_pieces(&mut self) -> impl Iterator<Item = Piece> {
        let message = self.message.as_mut();
        let (thinking, text) = message
            .map(|message| (message.thinking.take(), message.content.take()))
            .unwrap_or_default();
        let thinking = thinking.filter(|text| !text.is_empty()).map(Piece::Thinking);
        let text = text.filter(|text| !text.is_empty()).map(Piece::Text);
        thinking.into_iter().chain(text)
    }

    /// The tools that are to be called. A call without an id gets one from `number`, which counts
    /// the calls of the conversation.
    pub(crate) fn take_tool_calls(&mut self, mut number: usize) -> Vec<ToolCall> {
        let calls = self.message.as_mut().and_then(|message| message.tool_calls.take());
        let named = calls.unwrap_or_default().into_iter().map(|call| {
            let id =
                call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call-{number}"));
            number = number.saturating_add(1);
            let arguments = call.function.arguments;
            ToolCall {
                id,
                name: call.function.name,
                arguments_json: arguments
                    .map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned()),
            }
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_empty_parts_are_left_out() {
        let line = r#"{"model":"m","message":{"role":"assistant","content":"b","thinking":"a"}}"#;
        let mut chunk: Chunk = serde_json::from_str(line).unwrap();
        let pieces: Vec<Piece> = chunk.take_pieces().collect();
        assert_eq!(pieces, [Piece::Thinking("a".to_owned()), Piece::Text("b".to_owned())]);

        let empty = r#"{"message":{"role":"assistant","content":""},"done":true}"#;
        let mut chunk: Chunk = serde_json::from_str(empty).unwrap();
        assert!(chunk.done && chunk.take_pieces().next().is_none());
    }

    #[test]
    fn tool_calls_keep_their_order_and_get_an_id_if_they_have_none() {
        let line = r#"{"message":{"content":"","tool_calls":[
            {"function":{"index":0,"name":"look","arguments":{"z":1,"a":2}}},
            {"id":"own","function":{"name":"stop"}}]}}"#;
        let mut chunk: Chunk = serde_json::from_str(line).unwrap();
        let call = |id: &str, name: &str, arguments_json: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments_json: arguments_json.to_owned(),
        };
        let expected = [call("call-3", "look", r#"{"z":1,"a":2}"#), call("own", "stop", "{}")];
        assert_eq!(chunk.take_tool_calls(3), expected);
    }
}
