//! What the job of a client's call keeps of it: as much as the operator chose.

use roughneck_jobs::ports::runner::Outcome;
use serde::Serialize;
use serde_json::value::RawValue;

use super::asked::Asked;
use crate::config::Record;

/// How a call ended that was answered.
#[derive(Serialize)]
pub(crate) struct Ended<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Why it ended, in the words of its surface.
    #[serde(rename = "done_reason", skip_serializing_if = "str::is_empty")]
    pub(crate) reason: &'a str,
    /// What was said, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<&'a str>,
    /// The whole answer, if it came in one piece and is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<&'a RawValue>,
}

/// The result of the job.
pub(crate) fn done(ended: &Ended<'_>) -> Outcome {
    Outcome::Done { output: written(ended) }
}

/// The input of the job.
pub(crate) fn record(asked: &Asked, model: &str, record: Record) -> String {
    #[derive(Serialize)]
    struct Input<'a> {
        path: &'static str,
        model: &'a str,
        stream: bool,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<&'a RawValue>,
    }
    if record == Record::None {
        return "{}".to_owned();
    }
    let body = record.keeps_words().then(|| serde_json::from_slice(asked.request()).ok());
    written(&Input {
        path: asked.route.path(),
        model,
        stream: asked.streams,
        bytes: asked.bytes(),
        caller: asked.payer.caller.as_deref(),
        body: body.flatten(),
    })
}

/// Texts and numbers always serialise.
fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}
