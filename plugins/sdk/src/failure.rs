//! Why a run has no result, and what the host does next.

use std::time::Duration;

use serde::Serialize;

pub use crate::bindings::roughneck::plugin::types::{Disposition, Failure, HostError};

impl Failure {
    /// The host tries again as the kind's retry policy says.
    ///
    /// `code` is kebab-case and stable, because people and programs match on it; `message` is one
    /// sentence for a person.
    #[must_use]
    pub fn retry(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::Retry, code, message)
    }

    /// The job fails for good: another attempt with the same input could not succeed.
    #[must_use]
    pub fn fail(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::Fail, code, message)
    }

    /// The job ends as cancelled: there is nothing to do any more, and nothing went wrong.
    #[must_use]
    pub fn cancel(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::Cancel, code, message)
    }

    /// The input breaks a rule of the plugin. Fails for good, with code `invalid-input`.
    #[must_use]
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::fail("invalid-input", message)
    }

    /// A model's answer is not what was asked for. Retried, because another sample may be, with
    /// code `invalid-output`.
    #[must_use]
    pub fn invalid_output(message: impl Into<String>) -> Self {
        Self::retry("invalid-output", message)
    }

    /// Asks for the next attempt not before `delay`. Only a retry honours it.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Adds JSON that is stored with the attempt. What cannot be written as JSON is left out: a
    /// detail must not hide the failure.
    #[must_use]
    pub fn detail(mut self, detail: &impl Serialize) -> Self {
        self.detail = serde_json::to_string(detail).ok();
        self
    }

    fn new(disposition: Disposition, code: &str, message: impl Into<String>) -> Self {
        Self {
            disposition,
            code: code.to_owned(),
            message: message.into(),
            retry_after_ms: None,
            detail: None,
        }
    }
}

/// The host knows whether another attempt can help, so `?` on a capability does the right thing.
impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let disposition = if error.retryable { Disposition::Retry } else { Disposition::Fail };
        Self {
            disposition,
            code: error.code,
            message: error.message,
            retry_after_ms: error.retry_after_ms.filter(|_| error.retryable),
            detail: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Disposition, Failure, HostError};

    fn host_error(retryable: bool) -> HostError {
        HostError {
            code: "rate-limited".to_owned(),
            message: "The host answered 429.".to_owned(),
            retryable,
            retry_after_ms: Some(1_500),
        }
    }

    #[test]
    fn a_retryable_host_error_becomes_a_retry_that_keeps_code_and_delay() {
        let failure = Failure::from(host_error(true));
        assert_eq!(failure.disposition, Disposition::Retry);
        assert_eq!(failure.code, "rate-limited");
        assert_eq!(failure.retry_after_ms, Some(1_500));
    }

    #[test]
    fn a_final_host_error_fails_the_job_without_a_delay() {
        let failure = Failure::from(host_error(false));
        assert_eq!(failure.disposition, Disposition::Fail);
        assert_eq!(failure.message, "The host answered 429.");
        assert_eq!(failure.retry_after_ms, None);
    }

    #[test]
    fn a_delay_and_a_detail_can_be_added() {
        let failure = Failure::retry("busy", "Later.").after(Duration::from_secs(2)).detail(&["a"]);
        assert_eq!(failure.retry_after_ms, Some(2_000));
        assert_eq!(failure.detail.as_deref(), Some("[\"a\"]"));
    }
}
