//! A whole answer, put together from its pieces as Ollama does it: what was said and thought is joined,
//! tool calls and log probabilities are appended, and everything else is that of the last piece. So is the order of
//! the keys, and what the last piece lacks stands where Ollama has it.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    asked::json,
    envelope::{Edits, Envelope},
};
use crate::{
    broken::Broken,
    line::{self, Line, elements},
    metrics::Outcome,
};

/// Largest answer that is handed over in one piece, in bytes.
pub(crate) const WHOLE_BYTES_MAX: usize = 64 << 20;

/// No field: behind the last one.
const END: &str = "";

/// The pieces so far.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: usize,
    text: String,
    thinking: String,
    tool_calls: Vec<String>,
    logprobs: Vec<String>,
    last: Option<Bytes>,
}

/// The answer is larger than [`WHOLE_BYTES_MAX`].
pub(super) fn too_large() -> Broken {
    let why = format!("the answer is larger than {} MiB", WHOLE_BYTES_MAX >> 20);
    Broken::off(Outcome::Error, why)
}

impl Gathered {
    /// Takes the next line.
    ///
    /// # Errors
    /// It cannot be read, so that the answer would lack something, or the answer is too large.
    pub(crate) fn push(&mut self, line: Bytes) -> Result<(), Broken> {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > WHOLE_BYTES_MAX {
            return Err(too_large());
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let text = str::from_utf8(&line).map_err(|error| line::unreadable(&error))?;
        let mut read = Line::read(text).map_err(|error| line::unreadable(&error))?;
        let lists = |list| elements(list).map_err(|error| line::unreadable(&error));
        let (tool_calls, logprobs) = (lists(read.tool_calls())?, lists(read.logprobs)?);
        self.text.extend(read.take_text());
        self.thinking.extend(read.take_thinking());
        let as_written = |element: &RawValue| element.get().to_owned();
        self.tool_calls.extend(tool_calls.into_iter().map(as_written));
        self.logprobs.extend(logprobs.into_iter().map(as_written));
        self.last = Some(line);
        Ok(())
    }

    /// The whole answer: the last piece with all that the others said.
    pub(crate) fn whole(&self) -> Bytes {
        let last = self.last.clone().and_then(|last| Envelope::read(last).ok());
        let Some(last) = last else { return Bytes::from_static(b"{}") };
        let mut edits = Edits::default();
        let list = |values: &[String]| format!("[{}]", values.join(","));
        if last.raw("message").is_some() {
            let mut message = format!("{{\"role\":\"assistant\",\"content\":{}", json(&self.text));
            if !self.thinking.is_empty() {
                message.push_str(&format!(",\"thinking\":{}", json(&self.thinking)));
            }
            if !self.tool_calls.is_empty() {
                message.push_str(&format!(",\"tool_calls\":{}", list(&self.tool_calls)));
            }
            message.push('}');
            last.set(&mut edits, "message", &message);
        } else {
            last.set(&mut edits, "response", &json(&self.text));
            if !self.thinking.is_empty() {
                last.set_behind(&mut edits, "response", "thinking", &json(&self.thinking));
            }
            if !self.tool_calls.is_empty() {
                last.set_behind(&mut edits, END, "tool_calls", &list(&self.tool_calls));
            }
        }
        if !self.logprobs.is_empty() {
            let before = if last.raw("message").is_some() { "done_reason" } else { END };
            last.set_behind(&mut edits, before, "logprobs", &list(&self.logprobs));
        }
        let whole = last.edited(edits);
        whole.slice_ref(whole.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(lines: &[&'static str]) -> Bytes {
        let mut gathered = Gathered::default();
        for line in lines {
            gathered.push(Bytes::from_static(line.as_bytes())).unwrap();
        }
        gathered.whole()
    }

    #[test]
    fn a_chat_is_put_together() {
        let whole = gathered(&[
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n",
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\\\"\",\"tool_calls\":[{\"z\":1,\"a\":2}]},\"done\":false}\n",
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"b\"},\"done\":true,\"eval_count\":2}\n",
        ]);
        assert_eq!(
            whole,
            r#"{"model":"m","message":{"role":"assistant","content":"a\"b","thinking":"hm","tool_calls":[{"z":1,"a":2}]},"done":true,"eval_count":2}"#
        );
    }

    #[test]
    fn what_the_last_piece_lacks_stands_where_ollama_has_it() {
        let whole = gathered(&[
            "{\"model\":\"m\",\"response\":\"\",\"thinking\":\"hm\",\"done\":false,\"logprobs\":[1]}\n",
            "{\"model\":\"m\",\"response\":\"\",\"done\":false,\"tool_calls\":[{}]}\n",
            "{\"model\":\"m\",\"response\":\"a\",\"done\":true,\"done_reason\":\"stop\",\"eval_count\":2}\n",
        ]);
        assert_eq!(
            whole,
            r#"{"model":"m","response":"a","thinking":"hm","done":true,"done_reason":"stop","eval_count":2,"tool_calls":[{}],"logprobs":[1]}"#
        );
        let whole = gathered(&[
            "{\"message\":{\"content\":\"a\"},\"done\":false,\"logprobs\":[1]}\n",
            "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":2}\n",
        ]);
        assert_eq!(
            whole,
            r#"{"message":{"role":"assistant","content":"a"},"done":true,"done_reason":"stop","logprobs":[1],"eval_count":2}"#
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_left_out_and_a_blank_one_says_nothing() {
        for line in ["rubbish\n", "{\"tool_calls\":7}\n", "{\"logprobs\":{}}\n"] {
            let pushed = Gathered::default().push(Bytes::from_static(line.as_bytes()));
            let why = pushed.unwrap_err().error.to_string();
            assert!(why.contains("a line is not what Ollama sends"), "{why}");
        }
        Gathered::default().push(Bytes::from_static(b" \r\n")).unwrap();
    }

    #[test]
    fn a_generation_is_put_together() {
        let whole = gathered(&[
            "{\"model\":\"m\",\"response\":\"a\",\"done\":false,\"logprobs\":[{\"t\":1}]}\n",
            "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"context\":[1],\"logprobs\":[{\"t\":2}]}\n",
        ]);
        assert_eq!(
            whole,
            r#"{"model":"m","response":"a","done":true,"context":[1],"logprobs":[{"t":1},{"t":2}]}"#
        );
    }
}
