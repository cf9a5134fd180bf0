//! Why a run did not produce a result.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{clip::clip, json};

/// Longest [`Failure::message`]. It is kept with the job and listed with it.
pub const MESSAGE_BYTES_MAX: usize = 2 << 10;

/// What the plugin asks the host to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// Try again, if the retry policy grants it.
    Retry,
    /// Do not try again.
    Fail,
    /// The work is no longer wanted.
    Cancel,
}

/// The codes the host itself gives. Plugins add their own: the vocabulary is open.
pub mod code {
    /// The plugin trapped.
    pub const TRAPPED: &str = "trapped";
    /// The wall-clock limit of the kind passed.
    pub const TIMEOUT: &str = "timeout";
    /// The guest used more CPU than its manifest allows.
    pub const CPU_LIMIT: &str = "cpu-limit";
    /// The guest wanted more memory than its manifest allows.
    pub const OUT_OF_MEMORY: &str = "out-of-memory";
    /// The guest made more host calls than its manifest allows.
    pub const HOST_CALL_LIMIT: &str = "host-call-limit";
    /// The result was larger than the limit, or no JSON.
    pub const INVALID_OUTPUT: &str = "invalid-output";
    /// The input makes no sense to a kind that the host itself runs.
    pub const INVALID_INPUT: &str = "invalid-input";
    /// No installed plugin serves the kind.
    pub const KIND_MISSING: &str = "kind-missing";
    /// The plugin could not be started.
    pub const PLUGIN_BROKEN: &str = "plugin-broken";
    /// The row of the job cannot be read.
    pub const STORE_UNREADABLE: &str = "store-unreadable";
    /// The host died too often while it ran this job.
    pub const POISON: &str = "poison";
    /// Ollama cannot be reached.
    pub const OLLAMA_UNAVAILABLE: &str = "ollama-unavailable";
    /// Ollama does not have the model.
    pub const MODEL_NOT_INSTALLED: &str = "model-not-installed";
    /// Ollama refused a call.
    pub const OLLAMA_REFUSED: &str = "ollama-refused";
    /// Ollama failed to answer, or its answer broke off.
    pub const OLLAMA_BROKE_OFF: &str = "ollama-broke-off";
    /// The model answers elsewhere, and the operator lets no call leave the machine.
    pub const CLOUD_DISABLED: &str = "cloud-disabled";
    /// The job was cancelled.
    pub const CANCELLED: &str = "cancelled";
    /// A job that it needs ended without a result.
    pub const DEPENDENCY_FAILED: &str = "dependency-failed";
    /// Its input refers to a result that is not there.
    pub const DEPENDENCY_RESULT_MISSING: &str = "dependency-result-missing";
    /// The results that its input refers to are larger than the limit.
    pub const DEPENDENCY_RESULTS_TOO_LARGE: &str = "dependency-results-too-large";
    /// The submitter, who waited on an open connection, has left.
    pub const CLIENT_LEFT: &str = "client-left";
    /// The host stopped, and the submitter waited on an open connection.
    pub const HOST_STOPPED: &str = "host-stopped";
    /// The job was not over at its deadline, or could not have been.
    pub const DEADLINE_PASSED: &str = "deadline-passed";
    /// The tokens of the day are used up.
    pub const OVER_BUDGET: &str = "over-budget";
    /// The job has used all the tokens that it may use.
    pub const JOB_OVER_BUDGET: &str = "job-over-budget";
    /// The run no longer holds its lease.
    pub const FENCED: &str = "fenced";
    /// The name of the model leads elsewhere than it did when the call began to wait.
    pub const MODEL_MOVED: &str = "model-moved";
    /// As many calls as may do so wait for Ollama already.
    pub const LANE_FULL: &str = "lane-full";
    /// The store of the host failed.
    pub const STORE_FAILED: &str = "store-failed";
}

/// One failed attempt, in the plugin's words or the host's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// What should happen next.
    pub disposition: Disposition,
    /// A stable kebab-case code.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// Milliseconds the other side asked to wait.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
    /// JSON of the plugin's own; the host never reads it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

impl Failure {
    /// A failure that another attempt may mend.
    #[must_use]
    pub fn retry(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::Retry, code, &message.into())
    }

    /// A failure that no attempt can mend.
    #[must_use]
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::Fail, code, &message.into())
    }

    /// The message may quote what another program said, at any length.
    fn new(disposition: Disposition, code: &str, message: &str) -> Self {
        let message = clip(message, MESSAGE_BYTES_MAX);
        Self { disposition, code: code.to_owned(), message, retry_after_ms: None, detail: None }
    }
}

/// A failure as webhooks and the API show it.
#[derive(Debug, Serialize)]
pub struct FailureView<'a> {
    disposition: Disposition,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// The plugin's JSON, to the byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Box<RawValue>>,
}

impl<'a> From<&'a Failure> for FailureView<'a> {
    fn from(failure: &'a Failure) -> Self {
        let Failure { disposition, code, message, retry_after_ms, detail } = failure;
        Self {
            disposition: *disposition,
            code,
            message,
            retry_after_ms: *retry_after_ms,
            detail: detail.as_deref().and_then(json::raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/errors/README.md");

    #[test]
    fn every_code_is_explained_on_the_page() {
        let source = include_str!("failure.rs");
        let rows = source.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
        let codes: Vec<&str> = rows.filter_map(|row| row.split('"').nth(1)).collect();
        assert!(codes.contains(&code::FENCED), "{codes:?}");
        let is_wanted = |section: &&str| {
            section.starts_with("Failed attempts") || section.starts_with("Refused host calls")
        };
        let sections = PAGE.split("\n## ").filter(is_wanted);
        let codes_of = |row: &str| row.split('|').nth(1).unwrap_or_default().to_owned();
        let explained: String = sections.flat_map(str::lines).map(codes_of).collect();
        for code in codes {
            assert!(explained.contains(&format!("`{code}`")), "{code}");
        }
    }

    #[test]
    fn what_a_failure_quotes_is_cut_and_steers_no_terminal() {
        let failure = Failure::retry("x", format!("\u{1b}[2J{}", "x".repeat(70_000)));
        assert_eq!(failure.message.len(), MESSAGE_BYTES_MAX);
        assert!(failure.message.starts_with("\u{fffd}[2Jxx"), "{}", failure.message);
        assert!(failure.message.ends_with("x…"));
    }
}
