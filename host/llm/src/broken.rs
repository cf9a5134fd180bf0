//! Why a call is over before its end.

use std::time::Duration;

use roughneck_jobs::{clip::clip, failure::MESSAGE_BYTES_MAX, model::LlmError};

use crate::{
    breaker::{Failure, Sign},
    metrics::Outcome,
    response::Cut,
};

/// What the caller is told, and what operators count.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) outcome: Outcome,
    pub(crate) error: LlmError,
}

impl Broken {
    /// The answer broke off, perhaps in Ollama's words.
    pub(crate) fn off(outcome: Outcome, why: impl Into<String>) -> Self {
        Self { outcome, error: LlmError::BrokenOff(clipped(&why.into())) }
    }

    /// The connection was cut.
    pub(crate) fn cut(cut: &Cut) -> Self {
        Self::off(Outcome::Truncated, format!("the connection to Ollama broke: {cut}"))
    }

    /// The connection is at its end, and the answer is not.
    pub(crate) fn ended() -> Self {
        Self::off(Outcome::Truncated, "Ollama's stream ended before done")
    }

    /// Ollama said nothing of its answer for `patience`.
    pub(crate) fn silent(patience: Duration) -> Self {
        Self::off(Outcome::Timeout, format!("Ollama sent nothing of its answer for {patience:?}"))
    }

    /// Ollama sent something again and again for `patience`, but no whole piece.
    pub(crate) fn unfinished(patience: Duration) -> Self {
        Self::off(
            Outcome::Timeout,
            format!("Ollama sent no whole piece of its answer for {patience:?}"),
        )
    }

    /// Whether what was loaded may be gone.
    pub(crate) fn casts_doubt(&self) -> bool {
        match &self.error {
            LlmError::Refused { status, .. } => casts_doubt(*status),
            LlmError::Full { .. }
            | LlmError::CloudDisabled { .. }
            | LlmError::Moved { .. }
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
            | LlmError::CloudDisabled { .. }
            | LlmError::Moved { .. }
            | LlmError::Unwell { .. }
            | LlmError::Refused { .. }
            | LlmError::Full { .. }
            | LlmError::OverBudget(_)
            | LlmError::Invalid(_) => true,
        }
    }

    /// What it says about Ollama.
    pub(crate) fn sign(&self) -> Sign {
        let failed = |in_silence| {
            Sign::Failed(Failure { error: self.error.clone(), in_silence, load_of: None })
        };
        match (&self.error, self.outcome) {
            (LlmError::BrokenOff(_), Outcome::Cancelled) => Sign::None,
            (LlmError::BrokenOff(_), outcome) => failed(outcome == Outcome::Timeout),
            (LlmError::Unavailable { why, .. }, _) => Sign::Away(why.clone()),
            (LlmError::Refused { status, message }, _) if is_its_own(*status, message) => {
                failed(false)
            }
            (
                LlmError::Refused { .. }
                | LlmError::NotInstalled { .. }
                | LlmError::CloudDisabled { .. }
                | LlmError::Moved { .. }
                | LlmError::Full { .. }
                | LlmError::Unwell { .. }
                | LlmError::OverBudget(_)
                | LlmError::Invalid(_),
                _,
            ) => Sign::None,
        }
    }
}

/// Somebody else's words, as far as anybody reads them. Errors are kept and copied, by jobs, by the breaker, in logs, and
/// Ollama's may have a whole prompt in them.
pub(crate) fn clipped(words: &str) -> String {
    clip(words, MESSAGE_BYTES_MAX)
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

/// Whether an answer of this status is Ollama's own fault. A queue that is full is no failure, and Ollama answers
/// with 500 to some requests that are at fault themselves.
fn is_its_own(status: u16, message: &str) -> bool {
    const REQUEST_AT_FAULT: [&str; 4] = [
        "requires more system memory",
        "must be of type",
        "invalid format: ",
        "invalid JSON schema in format",
    ];
    match status {
        500 => !REQUEST_AT_FAULT.iter().any(|words| message.contains(words)),
        501 | 503 => false,
        _ => status > 500,
    }
}

impl From<LlmError> for Broken {
    /// A call that failed before its answer began.
    fn from(error: LlmError) -> Self {
        Self { outcome: Outcome::of(&error), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_a_megabyte_of_ollama_s_words() {
        let broken = Broken::off(Outcome::Error, "x".repeat(1 << 20));
        let LlmError::BrokenOff(why) = broken.error else { panic!("it broke off") };
        assert_eq!(why, format!("{}…", "x".repeat(MESSAGE_BYTES_MAX - "…".len())));
    }

    #[test]
    fn only_what_is_ollama_s_own_fault_says_that_it_is_ill() {
        let refused = |status, message: &str| {
            LlmError::Refused { status, message: message.to_owned() }.into()
        };
        let (url, why) = ("u".to_owned(), "refused".to_owned());
        let away: Broken = LlmError::Unavailable { url, why }.into();
        assert_eq!(away.sign(), Sign::Away("refused".to_owned()));
        let table: [(Broken, Option<bool>); 12] = [
            (Broken::silent(Duration::from_secs(1)), Some(true)),
            (Broken::off(Outcome::Truncated, "cut"), Some(false)),
            (Broken::off(Outcome::Error, "the runner died"), Some(false)),
            (refused(500, "llama runner process has terminated"), Some(false)),
            (refused(502, ""), Some(false)),
            (Broken::off(Outcome::Cancelled, "nobody read it"), None),
            (refused(500, "model requires more system memory (9 GiB)"), None),
            (refused(500, "option \"num_ctx\" must be of type integer"), None),
            (refused(500, "invalid format: \"yaml\"; expected \"json\" or a schema"), None),
            (refused(503, "server busy"), None),
            (refused(404, "model 'm' not found"), None),
            (LlmError::Invalid("no".to_owned()).into(), None),
        ];
        for (broken, silence) in table {
            let sign = match broken.sign() {
                Sign::Failed(failure) => Some(failure.in_silence),
                Sign::None => None,
                other @ (Sign::Well | Sign::Left | Sign::Away(_)) => panic!("{other:?}"),
            };
            assert_eq!(sign, silence, "{broken:?}");
        }
    }
}
