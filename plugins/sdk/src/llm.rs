//! Language models, through the host's one lane to Ollama.

use std::iter::FusedIterator;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::bindings::roughneck::plugin::llm::{Completion, Image, Role, ToolCall, Usage};

use crate::bindings::roughneck::plugin::llm::{self, Message};
use crate::{Failure, HostError};

/// A conversation and its options, under construction.
#[derive(Debug)]
#[must_use = "a chat does nothing until it is completed or streamed"]
pub struct Chat(llm::Request);

/// Starts a chat with a model's name, or with an alias of the operator such as `default`.
pub fn chat(model: &str) -> Chat {
    Chat(llm::Request::new(model))
}

impl Chat {
    /// Adds an instruction.
    pub fn system(self, text: &str) -> Self {
        self.message(Role::System, text)
    }

    /// Adds what the user says.
    pub fn user(self, text: &str) -> Self {
        self.message(Role::User, text)
    }

    /// Adds what the model said before.
    pub fn assistant(self, text: &str) -> Self {
        self.message(Role::Assistant, text)
    }

    /// Adds what the user says about an image; `media_type` is such as `image/png`.
    pub fn user_with_image(self, text: &str, media_type: &str, data: Vec<u8>) -> Self {
        let image = Image { media_type: media_type.to_owned(), data };
        self.push(&Message { images: vec![image], ..plain(Role::User, text) })
    }

    /// Offers a tool; `parameters` is the JSON Schema of its arguments.
    pub fn tool(self, name: &str, description: &str, parameters: &Value) -> Self {
        self.0.tool(name, description, &parameters.to_string());
        self
    }

    /// Adds what the model said before, with the tools that it called: a model has to see its calls before it is told
    /// their answers.
    pub fn assistant_calls(self, completion: &Completion) -> Self {
        self.push(&spoken(completion))
    }

    /// Adds the answer of a tool to the call of that id, behind [`Self::assistant_calls`].
    pub fn tool_result(self, tool_call_id: &str, text: &str) -> Self {
        self.push(&Message {
            tool_call_id: Some(tool_call_id.to_owned()),
            ..plain(Role::Tool, text)
        })
    }

    /// The answer must be JSON that follows this JSON Schema. Models break it at times: check with
    /// [`json`].
    pub fn schema(self, schema: &Value) -> Self {
        self.0.response_schema(&schema.to_string());
        self
    }

    /// How much chance there is in the answer; 0 is the least.
    pub fn temperature(self, temperature: f32) -> Self {
        self.0.temperature(temperature);
        self
    }

    /// Makes chance repeatable.
    pub fn seed(self, seed: u64) -> Self {
        self.0.seed(seed);
        self
    }

    /// Ends the answer after so many tokens, with the finish reason `length`.
    pub fn max_output_tokens(self, tokens: u32) -> Self {
        self.0.max_output_tokens(tokens);
        self
    }

    /// Ends the answer before any of these texts.
    pub fn stop(self, sequences: &[String]) -> Self {
        self.0.stop(sequences);
        self
    }

    /// Sets an option that has no method, such as `ollama.num_ctx`. The host may refuse a key.
    pub fn option(self, key: &str, value: &str) -> Self {
        self.0.set_option(key, value);
        self
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// If the model is not granted or not there, or the host cannot reach it.
    pub fn complete(self) -> Result<Completion, HostError> {
        llm::complete(self.0)
    }

    /// Opens the answer as a stream. Who watches the job sees the tokens as they come.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn stream(self) -> Result<Stream, HostError> {
        llm::open_stream(self.0).map(|tokens| Stream { tokens, is_over: false })
    }

    fn message(self, role: Role, text: &str) -> Self {
        self.push(&plain(role, text))
    }

    fn push(self, message: &Message) -> Self {
        self.0.push(message);
        self
    }
}

/// An answer that arrives piece by piece. Iterate over `&mut stream`, then call [`Self::finish`]. An error is the last
/// item, and [`Self::finish`] returns it again.
#[derive(Debug)]
#[must_use = "a stream that is dropped ends the answer"]
pub struct Stream {
    tokens: llm::TokenStream,
    is_over: bool,
}

impl Stream {
    /// Reads what is left and returns the whole answer with its usage.
    ///
    /// # Errors
    /// If the model or the connection fails before the end.
    pub fn finish(self) -> Result<Completion, HostError> {
        llm::TokenStream::finish(self.tokens)
    }
}

impl Iterator for Stream {
    type Item = Result<String, HostError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.is_over, || self.tokens.next())
    }
}

impl FusedIterator for Stream {}

/// The host repeats the error of a stream that broke, to whoever asks again: who passes over errors would never end.
fn next(
    is_over: &mut bool,
    pull: impl FnOnce() -> Result<Option<String>, HostError>,
) -> Option<Result<String, HostError>> {
    if *is_over {
        return None;
    }
    let piece = pull().transpose();
    *is_over = !matches!(piece, Some(Ok(_)));
    piece
}

/// An answer as JSON of the shape that [`Chat::schema`] asked for.
///
/// # Errors
/// A retry with code `invalid-output`, with the start of the answer as its detail.
pub fn json<T: DeserializeOwned>(answer: &str) -> Result<T, Failure> {
    serde_json::from_str(answer.trim()).map_err(|error| {
        let start: String = answer.chars().take(ANSWER_CHARS_IN_DETAIL).collect();
        Failure::invalid_output(format!(
            "The model's answer is not the JSON that was asked for: {error}."
        ))
        .detail(&serde_json::json!({ "answer": start }))
    })
}

/// Enough to see what went wrong, little enough to store with each attempt.
const ANSWER_CHARS_IN_DETAIL: usize = 500;

fn spoken(completion: &Completion) -> Message {
    Message {
        tool_calls: completion.tool_calls.clone(),
        ..plain(Role::Assistant, &completion.text)
    }
}

fn plain(role: Role, text: &str) -> Message {
    Message {
        role,
        text: text.to_owned(),
        images: Vec::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Completion, Role, ToolCall, Usage, json, next, spoken};
    use crate::{Disposition, HostError};

    #[test]
    fn a_stream_that_breaks_ends_with_its_error() {
        let broken = || HostError {
            code: "ollama-broke-off".to_owned(),
            message: String::new(),
            retryable: true,
            retry_after_ms: None,
        };
        let mut is_over = false;
        let first = next(&mut is_over, || Ok(Some("a".to_owned())));
        assert!(matches!(first, Some(Ok(piece)) if piece == "a"));
        assert!(matches!(next(&mut is_over, || Err(broken())), Some(Err(_))));
        assert!(next(&mut is_over, || Err(broken())).is_none());
    }

    #[test]
    fn what_the_model_said_and_called_is_repeated_to_it() {
        let call = ToolCall {
            id: "7".to_owned(),
            name: "look_up".to_owned(),
            arguments_json: "{}".to_owned(),
        };
        let said = spoken(&Completion {
            text: "I look it up.".to_owned(),
            thinking: Some("not repeated".to_owned()),
            tool_calls: vec![call],
            finish_reason: "stop".to_owned(),
            usage: Usage {
                input_tokens: 1,
                output_tokens: 1,
                load_ms: 0,
                prompt_ms: 0,
                generate_ms: 0,
                queue_ms: 0,
            },
            model: "m".to_owned(),
            model_digest: None,
            replayed: false,
        });
        assert_eq!((said.role, said.text.as_str()), (Role::Assistant, "I look it up."));
        assert_eq!(said.tool_calls.iter().map(|call| &*call.id).collect::<Vec<_>>(), ["7"]);
        assert_eq!(said.tool_call_id, None);
    }

    #[test]
    fn an_answer_that_is_no_json_is_retried_and_kept_as_detail() {
        let failure = json::<Value>("Sure! Here is").unwrap_err();
        assert_eq!(failure.disposition, Disposition::Retry);
        assert_eq!(failure.code, "invalid-output");
        assert_eq!(failure.detail.as_deref(), Some(r#"{"answer":"Sure! Here is"}"#));
    }

    #[test]
    fn white_space_around_the_answer_does_not_matter() {
        assert_eq!(json::<Vec<u8>>("\n [1] \n").unwrap(), [1]);
    }
}
