//! What the model said, found in the result of a call's job.

use serde::Deserialize;

/// A result, in any of the forms it may have: what is kept of a call whose client waited
/// ([`super::outcome::Ended`]), or an answer in one piece of any surface.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Output {
    /// Of a stream.
    answer: Option<String>,
    body: Option<Box<Output>>,
    /// `/api/generate`.
    response: Option<String>,
    /// `/api/chat`.
    message: Option<Message>,
    /// OpenAI's chats and completions.
    choices: Vec<Choice>,
    /// OpenAI's responses.
    output: Vec<Item>,
    /// Anthropic's messages.
    content: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    message: Message,
    text: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    content: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    r#type: String,
    text: Option<String>,
}

/// The text, if there is any.
pub(crate) fn of(result: &str) -> Option<String> {
    serde_json::from_str::<Output>(result).ok()?.text().filter(|text| !text.is_empty())
}

impl Output {
    fn text(self) -> Option<String> {
        let choice = self.choices.into_iter().next();
        let choice = choice.and_then(|choice| choice.text.or(choice.message.content));
        let message = self.message.and_then(|message| message.content);
        let said = self.answer.or(self.response).or(message).or(choice);
        let parts = self.output.into_iter().flat_map(|item| item.content).chain(self.content);
        said.or_else(|| joined(parts)).or_else(|| self.body.and_then(|body| body.text()))
    }
}

/// What was said, without what was thought.
fn joined(parts: impl Iterator<Item = Part>) -> Option<String> {
    let said = parts.filter(|part| matches!(&*part.r#type, "text" | "output_text"));
    said.filter_map(|part| part.text).reduce(|said, more| said + &more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_in_a_result_of_every_surface() {
        for result in [
            r#"{"status":200,"done_reason":"stop","answer":"hi"}"#,
            r#"{"status":200,"body":{"choices":[{"message":{"role":"assistant","content":"hi"}}]}}"#,
            r#"{"model":"m","response":"hi","done":true}"#,
            r#"{"model":"m","message":{"role":"assistant","content":"hi"},"done":true}"#,
            r#"{"choices":[{"text":"hi","finish_reason":"stop"},{"text":"other"}]}"#,
            r#"{"output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"h"},{"type":"output_text","text":"i"}]}]}"#,
            r#"{"type":"message","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"hi"}]}"#,
        ] {
            assert_eq!(of(result).as_deref(), Some("hi"), "{result}");
        }
    }

    #[test]
    fn words_that_are_json_are_not_taken_apart() {
        let answer = r#"{"status":200,"answer":"{\"response\":\"x\"}"}"#;
        assert_eq!(of(answer).as_deref(), Some(r#"{"response":"x"}"#));
    }

    #[test]
    fn where_nothing_was_said_or_kept_there_is_no_text() {
        for result in [
            "{}",
            "[]",
            "rubbish",
            r#"{"status":200,"done_reason":"stop"}"#,
            r#"{"embeddings":[[1.0]],"prompt_eval_count":3}"#,
            r#"{"message":{"role":"assistant","content":"","tool_calls":[{}]},"done":true}"#,
        ] {
            assert_eq!(of(result), None, "{result}");
        }
    }
}
