//! What the job of a client's call keeps of it: as much as the operator chose.

use roughneck_jobs::{
    intake::INPUT_BYTES_MAX, json, manifest::OUTPUT_BYTES_MAX, ports::runner::Outcome,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::asked::Asked;
use crate::config::Record;

/// Stands in a record that would keep the words of a call, if they were not larger, or nested deeper, than a
/// job's input or result may be. The call is answered all the same.
const TOO_LARGE: &str = "too large to keep";

/// What is kept of the words of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// The operator wants none kept.
    Unwanted,
    /// All there are so far.
    Kept(String),
    /// There were too many to keep.
    TooLarge,
}

impl Words {
    /// None so far.
    pub(crate) fn of(record: Record) -> Self {
        if record.keeps_words() { Self::Kept(String::new()) } else { Self::Unwanted }
    }

    /// Takes what was said, and returns whether any of it is wanted.
    pub(crate) fn push(&mut self, text: &str) -> bool {
        match self {
            Self::Unwanted => return false,
            Self::TooLarge => {}
            Self::Kept(words) if fits(words.len() + text.len(), OUTPUT_BYTES_MAX) => {
                words.push_str(text);
            }
            Self::Kept(_) => *self = Self::TooLarge,
        }
        true
    }
}

/// How a call ended that was answered.
pub(crate) struct Ended<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Why it ended, in the words of its surface.
    pub(crate) reason: &'a str,
    /// What is kept of the answer.
    pub(crate) answer: Answer<'a>,
}

/// The answer, as far as it is kept.
#[derive(Clone, Copy)]
pub(crate) enum Answer<'a> {
    /// Nothing of it.
    None,
    /// What was said in pieces.
    Words(&'a Words),
    /// It came in one piece, which is JSON.
    Whole(&'a RawValue),
}

/// The result of the job.
pub(crate) fn done(ended: &Ended<'_>) -> Outcome {
    #[derive(Clone, Default, Serialize)]
    struct Output<'a> {
        status: u16,
        #[serde(rename = "done_reason", skip_serializing_if = "str::is_empty")]
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<&'static str>,
    }
    let bare = Output { status: ended.status, reason: ended.reason, ..Output::default() };
    let wordless = Output { words: Some(TOO_LARGE), ..bare.clone() };
    let (bytes, output) = match ended.answer {
        Answer::None | Answer::Words(Words::Unwanted) => (0, bare),
        Answer::Words(Words::TooLarge) => (0, wordless.clone()),
        Answer::Words(Words::Kept(said)) => (said.len(), Output { answer: Some(said), ..bare }),
        Answer::Whole(body) => (body.get().len(), Output { body: Some(body), ..bare }),
    };
    let output = if fits(bytes, OUTPUT_BYTES_MAX) { written(&output) } else { written(&wordless) };
    // As JSON some signs are longer.
    let fits = fits(output.len(), OUTPUT_BYTES_MAX) && !json::is_too_deep(&output);
    Outcome::Done { output: if fits { output } else { written(&wordless) } }
}

/// The input of the job.
pub(crate) fn record(asked: &Asked, model: &str, record: Record) -> String {
    #[derive(Clone, Serialize)]
    struct Input<'a> {
        path: &'static str,
        model: &'a str,
        stream: bool,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<&'static str>,
    }
    if record == Record::None {
        return "{}".to_owned();
    }
    let bare = Input {
        path: asked.route.path(),
        model,
        stream: asked.streams,
        bytes: asked.bytes(),
        caller: asked.payer.caller.as_deref(),
        body: None,
        words: None,
    };
    if !record.keeps_words() {
        return written(&bare);
    }
    let limit = INPUT_BYTES_MAX as u64;
    let wordless = Input { words: Some(TOO_LARGE), ..bare.clone() };
    if !fits(asked.bytes(), limit) {
        return written(&wordless);
    }
    let full = written(&Input { body: serde_json::from_slice(asked.request()).ok(), ..bare });
    // What stands beside the body counts as well.
    if fits(full.len(), limit) && !json::is_too_deep(&full) { full } else { written(&wordless) }
}

fn fits(bytes: usize, limit: u64) -> bool {
    u64::try_from(bytes).is_ok_and(|bytes| bytes <= limit)
}

/// Texts and numbers always serialise.
fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(answer: Answer<'_>) -> String {
        match done(&Ended { status: 200, reason: "stop", answer }) {
            Outcome::Done { output } => output,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_are_kept_up_to_the_limit_of_a_result_and_then_not_at_all() {
        let mut words = Words::of(Record::Full);
        assert!(words.push("hi"));
        assert_eq!(
            output(Answer::Words(&words)),
            r#"{"status":200,"done_reason":"stop","answer":"hi"}"#
        );
        let wordless = r#"{"status":200,"done_reason":"stop","words":"too large to keep"}"#;
        let large = "\n".repeat(OUTPUT_BYTES_MAX as usize - 2);
        assert!(words.push(&large));
        assert!(matches!(words, Words::Kept(_)));
        assert_eq!(output(Answer::Words(&words)), wordless, "it is longer as JSON");
        assert!(words.push("!"));
        assert_eq!(words, Words::TooLarge);
        assert!(words.push("?"), "whoever follows the answer still gets it");
        assert_eq!(output(Answer::Words(&words)), wordless);

        let whole = RawValue::from_string(format!("[\"{large}\"]").replace('\n', "x")).unwrap();
        assert_eq!(output(Answer::Whole(&whole)), wordless);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let whole = RawValue::from_string(deep).unwrap();
        assert_eq!(output(Answer::Whole(&whole)), wordless, "few could read it");
    }

    #[test]
    fn what_the_operator_does_not_want_is_not_kept() {
        let mut words = Words::of(Record::Metadata);
        assert!(!words.push("hi"));
        assert_eq!(output(Answer::Words(&words)), r#"{"status":200,"done_reason":"stop"}"#);
    }
}
