//! Why a call is over before its end.

use std::time::Duration;

use roughneck_jobs::model::LlmError;

use crate::metrics::Outcome;

/// What the caller is told, and what operators count.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) outcome: Outcome,
    pub(crate) error: LlmError,
}

impl Broken {
    /// The answer broke off.
    pub(crate) fn off(outcome: Outcome, why: impl Into<String>) -> Self {
        Self { outcome, error: LlmError::BrokenOff(why.into()) }
    }

    /// Ollama said nothing for `patience`.
    pub(crate) fn silent(patience: Duration) -> Self {
        Self::off(Outcome::Timeout, format!("not a byte came for {patience:?}"))
    }
}

impl From<LlmError> for Broken {
    fn from(error: LlmError) -> Self {
        Self { outcome: Outcome::of(&error), error }
    }
}
