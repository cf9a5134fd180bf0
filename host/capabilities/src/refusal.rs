//! How a capability says no.

use roughneck_jobs::{failure::code, id::JobId};

/// What a guest gets instead of a result. It mirrors `host-error` of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// A stable kebab-case code.
    pub code: String,
    /// One sentence that says what is wrong and how to mend it.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Milliseconds after which it may.
    pub retry_after_ms: Option<u64>,
}

impl HostError {
    /// An error that no repetition mends.
    #[must_use]
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            retry_after_ms: None,
        }
    }

    /// An error that time may mend.
    #[must_use]
    pub fn retryable(code: &str, message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::fatal(code, message) }
    }
}

/// The run made far too many host calls, or one too many of a kind that cannot be refused. The guest
/// must be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the plugin made more host calls than its limit of {calls_max}; raise `limits.host-calls` in plugin.toml"
)]
pub struct Exhausted {
    /// The manifest's limit.
    pub calls_max: u32,
}

impl Exhausted {
    /// The same sentence as an error that the guest may still handle.
    #[must_use]
    pub fn as_host_error(self) -> HostError {
        HostError::fatal(code::HOST_CALL_LIMIT, self.to_string())
    }
}

/// Why a call did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The guest is told and goes on.
    #[error(transparent)]
    Told(#[from] HostError),
    /// The guest is stopped.
    #[error(transparent)]
    Stopped(#[from] Exhausted),
    /// The guest is stopped, and its job runs again when these children of it are over.
    #[error("the job waits for its children")]
    Awaits(Vec<JobId>),
}

impl Refusal {
    pub(crate) fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::Told(HostError::fatal(code, message))
    }
}
