//! What is learnt from an answer that passes by: when it can be seen, what it cost, where it ends.

use std::borrow::Cow;

use bytes::Bytes;
use roughneck_jobs::ports::gateway::CallRoute;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::{Edits, Envelope};
use crate::{
    frames::{self, Framing},
    line::{Line, Text, written},
    stats::Figures,
};

/// How an answer in pieces is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Ollama's lines.
    Native,
    /// OpenAI's chunks of chats and completions.
    Chunks,
    /// OpenAI's events of responses.
    Responses,
    /// Anthropic's events.
    Messages,
}

/// What one frame says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said<'a> {
    /// Something of the answer, or of what was thought: about one token.
    pub(crate) is_visible: bool,
    /// Text of the answer.
    pub(crate) text: Option<Cow<'a, str>>,
    /// What it cost, as far as the frame knows.
    pub(crate) figures: Option<Figures>,
    /// Why it ended.
    pub(crate) reason: Option<Cow<'a, str>>,
    /// Nothing follows.
    pub(crate) is_end: bool,
    /// It broke off.
    pub(crate) error: Option<String>,
    /// Nothing but the usage, which not every client asked for.
    pub(crate) is_usage_only: bool,
}

impl Script {
    pub(crate) fn of(route: CallRoute) -> Self {
        match route {
            CallRoute::Generate | CallRoute::Chat | CallRoute::Embed | CallRoute::Embeddings => {
                Self::Native
            }
            CallRoute::ChatCompletions | CallRoute::Completions | CallRoute::OpenAiEmbeddings => {
                Self::Chunks
            }
            CallRoute::Responses => Self::Responses,
            CallRoute::Messages => Self::Messages,
        }
    }

    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::Native => Framing::Lines,
            Self::Chunks | Self::Responses | Self::Messages => Framing::Events,
        }
    }

    /// Reads one frame. What cannot be read goes on all the same and says nothing: it is not for this
    /// host to forbid what a newer Ollama writes.
    pub(crate) fn read(self, frame: &[u8]) -> Said<'_> {
        // Once for all of its texts: otherwise each would be looked at by itself.
        let Ok(frame) = str::from_utf8(frame) else { return Said::default() };
        match self {
            Self::Native => native(frame),
            Self::Chunks => match frames::data(frame) {
                Some("[DONE]") => Said { is_end: true, ..Said::default() },
                Some(data) => chunk(data),
                None => Said::default(),
            },
            Self::Responses | Self::Messages => frames::data(frame).map(event).unwrap_or_default(),
        }
    }
}

/// A chunk of OpenAI's without its usage. Ollama has one in every chunk of a completion if it is asked for one.
pub(crate) fn without_usage(chunk: &Bytes) -> Option<Bytes> {
    let data = frames::data(str::from_utf8(chunk).ok()?)?;
    let data = chunk.slice_ref(data.as_bytes());
    let before = (data.as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
    let (head, tail) = (chunk.get(..before)?, chunk.get(before + data.len()..)?);
    let envelope = Envelope::read(data.clone()).ok()?;
    let mut edits = Edits::default();
    envelope.cut(&mut edits, "usage");
    Some([head, &envelope.edited(edits), tail].concat().into())
}

/// What a whole answer cost; none if it is no object of JSON, which every answer is.
pub(crate) fn whole(body: &[u8]) -> Option<Figures> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Whole {
        usage: Option<Usage>,
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    match serde_json::from_slice(body) {
        Ok(Whole { usage: Some(usage) }) => Some(usage.figures()),
        Ok(Whole { usage: None }) => Some(serde_json::from_slice(body).unwrap_or_default()),
        // A newer Ollama may write its figures otherwise.
        Err(error) => error.is_data().then(Figures::default),
    }
}

fn native(frame: &str) -> Said<'_> {
    let Ok(mut line) = Line::read(frame) else { return Said::default() };
    let text = line.take_text();
    let thinks = line.take_thinking().is_some();
    Said {
        is_visible: text.is_some() || thinks || line.tool_calls().is_some(),
        text,
        // Only the last line has any, so the others are not searched for them.
        figures: line.done.then(|| serde_json::from_str(frame).unwrap_or_default()),
        reason: line.take_reason(),
        is_end: line.done,
        error: line.error,
        is_usage_only: false,
    }
}

/// What OpenAI's and Anthropic's answers say of tokens; they never say anything of time.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Usage {
    #[serde(alias = "input_tokens")]
    prompt_tokens: i64,
    #[serde(alias = "output_tokens")]
    completion_tokens: i64,
}

impl Usage {
    fn figures(self) -> Figures {
        Figures {
            prompt_eval_count: self.prompt_tokens,
            eval_count: self.completion_tokens,
            ..Figures::default()
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    error: Option<Problem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: String,
}

fn chunk(data: &str) -> Said<'_> {
    let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else { return Said::default() };
    let has_choices = chunk.choices.as_ref().is_none_or(|choices| !choices.is_empty());
    let choice = chunk.choices.and_then(|choices| choices.into_iter().next()).unwrap_or_default();
    let delta = choice.delta.unwrap_or_default();
    let text = written(choice.text.or(delta.content));
    let reasons = written(delta.reasoning).is_some();
    Said {
        is_visible: text.is_some() || reasons || delta.tool_calls.is_some(),
        text,
        figures: chunk.usage.map(Usage::figures),
        reason: written(choice.finish_reason),
        is_end: false,
        error: chunk.error.map(|problem| problem.message),
        is_usage_only: !has_choices && chunk.usage.is_some(),
    }
}

/// An event of Anthropic's messages or OpenAI's responses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    r#type: Cow<'a, str>,
    /// A text in responses, an object in messages.
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    usage: Option<Usage>,
    message: Option<Started>,
    response: Option<Started>,
    error: Option<Problem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Started {
    usage: Option<Usage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MessageDelta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

fn event(data: &str) -> Said<'_> {
    let Ok(event) = serde_json::from_str::<Event<'_>>(data) else { return Said::default() };
    let started = event.message.or(event.response).unwrap_or_default();
    let raw = event.delta.map(RawValue::get);
    let delta: MessageDelta<'_> =
        raw.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    let text: Option<Text<'_>> = match &*event.r#type {
        "response.output_text.delta" => raw.and_then(|raw| serde_json::from_str(raw).ok()),
        _ => delta.text,
    };
    Said {
        is_visible: event.r#type == "content_block_delta" || event.r#type.ends_with(".delta"),
        text: written(text),
        figures: event.usage.or(started.usage).map(Usage::figures),
        reason: written(delta.stop_reason),
        is_end: matches!(
            &*event.r#type,
            "message_stop" | "response.completed" | "response.incomplete" | "response.failed"
        ),
        error: event.error.map(|problem| problem.message),
        is_usage_only: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(said: &'a Said<'_>) -> Option<&'a str> {
        said.text.as_deref()
    }

    #[test]
    fn lines_of_ollama_are_read() {
        let script = Script::Native;
        let empty = script
            .read(br#"{"model":"m","message":{"role":"assistant","content":""},"done":false}"#);
        assert!(!empty.is_visible && !empty.is_end);
        let said = script.read(r#"{"message":{"content":"hä"},"done":false}"#.as_bytes());
        assert_eq!((text(&said), said.is_visible), (Some("hä"), true));
        assert!(script.read(br#"{"response":"","thinking":"hm","done":false}"#).is_visible);
        assert!(
            script.read(br#"{"message":{"content":"","tool_calls":[{}]},"done":false}"#).is_visible
        );
        let last =
            script.read(br#"{"response":"","done":true,"done_reason":"stop","eval_count":7}"#);
        assert!(last.is_end);
        assert_eq!(last.reason.as_deref(), Some("stop"));
        assert_eq!(last.figures.unwrap().eval_count, 7);
        let broken = script.read(br#"{"error":"it died"}"#);
        assert_eq!(broken.error.as_deref(), Some("it died"));
        assert_eq!(script.read(b"rubbish"), Said::default());
    }

    fn event(json: &str) -> String {
        format!("event: something\ndata: {json}\n\n")
    }

    #[test]
    fn chunks_of_openai_are_read() {
        let script = Script::Chunks;
        let frame = event(r#"{"choices":[{"delta":{"content":"hi"},"finish_reason":null}]}"#);
        assert_eq!(text(&script.read(frame.as_bytes())), Some("hi"));
        let frame = event(r#"{"choices":[{"text":"hi","finish_reason":"stop"}]}"#);
        let said = script.read(frame.as_bytes());
        assert_eq!((text(&said), said.reason.as_deref()), (Some("hi"), Some("stop")));
        let frame = event(
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#,
        );
        let usage = script.read(frame.as_bytes());
        assert!(usage.is_usage_only);
        assert_eq!(usage.figures.unwrap().prompt_eval_count, 3);
        assert!(script.read(event("[DONE]").as_bytes()).is_end);
    }

    #[test]
    fn the_usage_of_a_chunk_is_left_out_and_nothing_else() {
        let with = |usage: &str| {
            Bytes::from(format!("data: {{\"id\":\"x\",\"choices\":[{{}}]{usage}}}\n\n"))
        };
        assert_eq!(without_usage(&with(r#","usage":{"prompt_tokens":0}"#)), Some(with("")));
        assert_eq!(without_usage(&with("")), Some(with("")));
        assert_eq!(without_usage(&Bytes::from_static(b": comment\n\n")), None);
    }

    #[test]
    fn events_of_anthropic_and_of_responses_are_read() {
        let frame =
            event(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}"#);
        let said = Script::Messages.read(frame.as_bytes());
        assert_eq!((text(&said), said.is_visible), (Some("hi"), true));
        let frame = event(
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}"#,
        );
        let said = Script::Messages.read(frame.as_bytes());
        let figures = said.figures.unwrap();
        assert_eq!((said.reason.as_deref(), figures.eval_count), (Some("end_turn"), 4));
        assert!(Script::Messages.read(event(r#"{"type":"message_stop"}"#).as_bytes()).is_end);
        let frame = event(r#"{"type":"response.output_text.delta","delta":"hi"}"#);
        assert_eq!(text(&Script::Responses.read(frame.as_bytes())), Some("hi"));
        let frame = event(
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":2,"output_tokens":9}}}"#,
        );
        let said = Script::Responses.read(frame.as_bytes());
        assert_eq!((said.is_end, said.figures.unwrap().eval_count), (true, 9));
    }

    #[test]
    fn a_whole_answer_tells_its_cost_in_either_way() {
        let tokens = |body: &str| {
            whole(body.as_bytes()).map(|cost| (cost.prompt_eval_count, cost.eval_count))
        };
        assert_eq!(tokens(r#"{"embeddings":[[1]],"prompt_eval_count":8}"#), Some((8, 0)));
        assert_eq!(tokens(r#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#), Some((8, 0)));
        assert_eq!(tokens(r#"{"usage":{"input_tokens":8,"output_tokens":1}}"#), Some((8, 1)));
        assert_eq!(tokens(r#" {"usage":"much","prompt_eval_count":"some"}"#), Some((0, 0)));
        for none in ["", "[]", "{", "<html>login</html>"] {
            assert_eq!(tokens(none), None, "{none}");
        }
    }
}
