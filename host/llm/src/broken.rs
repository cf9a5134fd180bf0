//! Why a call is over before its end.

use std::time::Duration;

use roughneck_jobs::model::LlmError;

use crate::{client::root_cause, metrics::Outcome};

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

    /// The connection was cut by this error.
    pub(crate) fn cut(error: &reqwest::Error) -> Self {
        let why = format!("the connection to Ollama broke: {}", root_cause(error));
        Self::off(Outcome::Truncated, why)
    }

    /// Ollama said nothing for `patience`.
    pub(crate) fn silent(patience: Duration) -> Self {
        Self::off(Outcome::Timeout, format!("Ollama sent nothing for {patience:?}"))
    }

    /// Whether what was loaded may be gone.
    pub(crate) fn casts_doubt(&self) -> bool {
        match &self.error {
            LlmError::Refused { status, .. } => casts_doubt(*status),
            LlmError::Full { .. }
            | LlmError::Unwell { .. }
            | LlmError::OverBudget(_)
            | LlmError::Invalid(_) => false,
            LlmError::Unavailable { .. }
            | LlmError::NotInstalled { .. }
            | LlmError::BrokenOff(_) => true,
        }
    }

    /// Whether no model has done anything for the call.
    pub(crate) fn is_free(&self) -> bool {
        match &self.error {
            LlmError::BrokenOff(_) => false,
            LlmError::Unavailable { .. }
            | LlmError::NotInstalled { .. }
            | LlmError::Unwell { .. }
            | LlmError::Refused { .. }
            | LlmError::Full { .. }
            | LlmError::OverBudget(_)
            | LlmError::Invalid(_) => true,
        }
    }
}

/// Whether, after an answer of this status, what was loaded may be gone. A request that makes no sense to
/// Ollama does its runner no harm; one for a model that is not there says that much has changed.
pub(crate) fn casts_doubt(status: u16) -> bool {
    match status {
        404 => true,
        200..=299 | 400..=499 => false,
        _ => true,
    }
}

impl From<LlmError> for Broken {
    /// A call that failed before its answer began.
    fn from(error: LlmError) -> Self {
        Self { outcome: Outcome::of(&error), error }
    }
}
