//! One line of an answer in pieces, as `/api/generate` and `/api/chat` write it. Every piece of their answers comes by
//! here, so it is read where it stands, and what not everybody wants to know is left as it was written.

use std::{borrow::Cow, error::Error};

use roughneck_jobs::model::ToolCall;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{broken::Broken, frames::Framing, metrics::Outcome};

/// A line. What it says stands in a message on one route, and by itself on the other. Unknown fields are ignored: newer
/// Ollamas add some.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Line<'a> {
    /// Set on the line that breaks an answer off; the HTTP status was 200 long before.
    pub(crate) error: Option<String>,
    #[serde(borrow)]
    response: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    /// A list, see [`elements`].
    #[serde(borrow)]
    pub(crate) logprobs: Option<&'a RawValue>,
    /// Whether nothing follows. Only the last line has figures of the cost, which are read by themselves.
    pub(crate) done: bool,
    #[serde(borrow)]
    done_reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

/// Text as it stands in JSON, if nothing in it is escaped. Serde would copy an `Option<Cow<str>>`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text, if there is anything in it.
pub(crate) fn written(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(text)| text).filter(|text| !text.is_empty())
}

impl<'a> Line<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(line: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }

    /// What is said of the answer, if anything is.
    pub(crate) fn take_text(&mut self) -> Option<Cow<'a, str>> {
        let text = self.response.take().or_else(|| self.message.as_mut()?.content.take());
        written(text)
    }

    /// The same of what is thought.
    pub(crate) fn take_thinking(&mut self) -> Option<Cow<'a, str>> {
        let thinking = self.thinking.take().or_else(|| self.message.as_mut()?.thinking.take());
        written(thinking)
    }

    /// Why the answer ended.
    pub(crate) fn take_reason(&mut self) -> Option<Cow<'a, str>> {
        written(self.done_reason.take())
    }

    /// The list of tools that are to be called.
    pub(crate) fn tool_calls(&self) -> Option<&'a RawValue> {
        self.tool_calls.or_else(|| self.message.as_ref()?.tool_calls)
    }

    /// The same, read. A call without an id gets one from `number`, which counts
    /// the calls of the conversation.
    ///
    /// # Errors
    /// They are not written as Ollama writes them.
    pub(crate) fn called_tools(&self, number: usize) -> serde_json::Result<Vec<ToolCall>> {
        #[derive(Deserialize)]
        struct Call<'a> {
            #[serde(default)]
            id: Option<String>,
            #[serde(borrow)]
            function: Function<'a>,
        }
        #[derive(Deserialize)]
        struct Function<'a> {
            name: String,
            /// As it was written, because the order of its keys is the model's.
            #[serde(default, borrow)]
            arguments: Option<&'a RawValue>,
        }
        let Some(calls) = self.tool_calls() else { return Ok(Vec::new()) };
        let calls: Vec<Call<'_>> = serde_json::from_str(calls.get())?;
        let named = (number..).zip(calls).map(|(number, Call { id, function })| ToolCall {
            id: id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call-{number}")),
            name: function.name,
            arguments_json: function.arguments.map_or("{}", RawValue::get).to_owned(),
        });
        Ok(named.collect())
    }
}

/// The end of an answer with a line that cannot be read: what it said is missing.
pub(crate) fn unreadable(error: &dyn Error) -> Broken {
    Broken::off(Outcome::Error, format!("a line is not what Ollama sends: {error}"))
}

/// The lines in whole frames. Blank ones are none.
pub(crate) fn all_of(frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    Framing::Lines.split(frames).filter(|line| !line.trim_ascii().is_empty())
}

/// The elements of a list as they were written, of which there are none if there is no list.
///
/// # Errors
/// It is no list.
pub(crate) fn elements(list: Option<&RawValue>) -> serde_json::Result<Vec<&RawValue>> {
    list.map_or(Ok(Vec::new()), |list| serde_json::from_str(list.get()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;

    #[test]
    fn a_line_says_the_same_on_both_routes_and_what_is_empty_is_left_out() {
        for line in [
            r#"{"model":"m","message":{"role":"assistant","content":"b","thinking":"a"}}"#,
            r#"{"model":"m","response":"b","thinking":"a","done":false}"#,
        ] {
            let mut line = Line::read(line).unwrap();
            assert_eq!(line.take_thinking().as_deref(), Some("a"));
            assert_eq!(line.take_text().as_deref(), Some("b"));
            assert!(line.tool_calls().is_none() && !line.done);
        }
        for line in [
            r#"{"message":{"role":"assistant","content":"","thinking":null},"done":true}"#,
            r#"{"response":"","done":true,"done_reason":"","tool_calls":null}"#,
        ] {
            let mut line = Line::read(line).unwrap();
            assert_eq!(
                (line.take_text(), line.take_thinking(), line.take_reason()),
                Default::default()
            );
            assert!(line.tool_calls().is_none() && line.done);
        }
        assert!(Line::read("rubbish").is_err());
    }

    #[test]
    fn blank_lines_carriage_returns_and_a_missing_last_line_feed_are_tolerated() {
        let mut frames = Frames::new(Framing::Lines);
        let chunks = [&b"{\"response\""[..], b":\"a\"}\r", b"\n\r\n\n{\"response\":\"b\"}"];
        let mut read = Vec::new();
        for whole in
            chunks.map(|chunk| frames.push(chunk.into()).unwrap()).iter().chain([&frames.rest()])
        {
            for line in all_of(whole) {
                let mut line = Line::read(str::from_utf8(line).unwrap()).unwrap();
                read.push(line.take_text().unwrap().into_owned());
            }
        }
        assert_eq!(read, ["a", "b"]);
    }

    #[test]
    fn text_is_copied_only_if_something_in_it_is_escaped() {
        let is_borrowed = |line| match Line::read(line).unwrap().take_text() {
            Some(Cow::Borrowed(_)) => true,
            Some(Cow::Owned(_)) | None => false,
        };
        assert!(is_borrowed(r#"{"message":{"content":"hä"}}"#));
        assert!(!is_borrowed(r#"{"message":{"content":"\n"}}"#));
    }

    #[test]
    fn tool_calls_keep_their_order_and_get_an_id_if_they_have_none() {
        let line = r#"{"message":{"content":"","tool_calls":[
            {"function":{"index":0,"name":"look","arguments":{"z":1,"a":2}}},
            {"id":"own","function":{"name":"stop"}},
            {"id":"","function":{"name":"stop"}}]}}"#;
        let call = |id: &str, name: &str, arguments_json: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments_json: arguments_json.to_owned(),
        };
        let expected = [
            call("call-3", "look", r#"{"z":1,"a":2}"#),
            call("own", "stop", "{}"),
            call("call-5", "stop", "{}"),
        ];
        assert_eq!(Line::read(line).unwrap().called_tools(3).unwrap(), expected);
        let unreadable = Line::read(r#"{"message":{"tool_calls":[{}]}}"#).unwrap();
        assert!(unreadable.called_tools(0).is_err());
    }
}
