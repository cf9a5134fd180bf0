//! Waiting for a condition with a deadline: what tests do instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const POLL_EVERY: Duration = Duration::from_millis(5);

/// The deadline passed and the condition still did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: still not so after {deadline:?}")]
pub struct TimedOut {
    /// What was waited for, as the caller put it.
    pub what: String,
    /// How long was waited.
    pub deadline: Duration,
}

/// Polls `condition` until it holds. `what` names the condition in the error.
///
/// # Errors
/// [`TimedOut`] once `deadline` has passed; the condition is asked one last time after it.
pub async fn eventually(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<(), TimedOut> {
    let until = Instant::now() + deadline;
    loop {
        let last = Instant::now() >= until;
        if condition().await {
            return Ok(());
        }
        if last {
            return Err(TimedOut { what: what.to_owned(), deadline });
        }
        sleep(POLL_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut asked = 0;
        let waited = eventually("third time lucky", Duration::from_secs(5), async || {
            asked += 1;
            asked == 3
        });
        assert_eq!(waited.await, Ok(()));
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    async fn a_condition_that_never_holds_names_itself() {
        let error =
            eventually("pigs fly", Duration::from_millis(1), async || false).await.unwrap_err();
        assert_eq!(error.to_string(), "pigs fly: still not so after 1ms");
    }
}
