//! Priority with aging, as one number that never changes.

use crate::clock::Millis;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// How much sooner than its equals a job should run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Priority {
    /// Somebody is blocked.
    Urgent,
    /// Somebody is waiting.
    High,
    /// Background work.
    #[default]
    Normal,
    /// Whenever there is room.
    Low,
    /// Fills the night.
    Bulk,
}

/// A name that is no priority.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a priority: use urgent, high, normal, low or bulk")]
pub struct NotAPriority(String);

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 5] = [Self::Urgent, Self::High, Self::Normal, Self::Low, Self::Bulk];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Bulk => "bulk",
        }
    }

    /// How long a bulk job must have waited to run before a new job of this priority.
    fn head_start_ms(self) -> u64 {
        match self {
            Self::Urgent => 6 * HOUR_MS,
            Self::High => 6 * HOUR_MS - MINUTE_MS,
            Self::Normal => 6 * HOUR_MS - 10 * MINUTE_MS,
            Self::Low => 5 * HOUR_MS,
            Self::Bulk => 0,
        }
    }

    /// The rank of a job that may run at `run_at`: lower runs first. It is computed once, at the
    /// submission; retry, loss and replay keep it, so waiting counts for ever and nothing starves.
    #[must_use]
    pub fn rank(self, run_at: Millis) -> Millis {
        let head_start = i64::try_from(self.head_start_ms()).unwrap_or(i64::MAX);
        Millis(run_at.0.saturating_sub(head_start))
    }
}

impl TryFrom<String> for Priority {
    type Error = NotAPriority;

    fn try_from(text: String) -> Result<Self, NotAPriority> {
        text.parse()
    }
}

impl std::str::FromStr for Priority {
    type Err = NotAPriority;

    fn from_str(text: &str) -> Result<Self, NotAPriority> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or_else(|| NotAPriority(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_more_urgent_job_of_the_same_moment_runs_first() {
        let ranks = Priority::ALL.map(|priority| priority.rank(Millis(0)));
        assert!(ranks.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_low_job_that_waited_an_hour_runs_before_a_new_urgent_one() {
        let old_low = Priority::Low.rank(Millis(0));
        let new_urgent = Priority::Urgent.rank(Millis(HOUR_MS as i64 + 1));
        assert!(old_low < new_urgent);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Priority::Urgent.rank(Millis(i64::MIN)), Millis(i64::MIN));
    }

    #[test]
    fn names_read_back_and_others_are_refused_with_the_choices() {
        for priority in Priority::ALL {
            assert_eq!(priority.as_str().parse(), Ok(priority));
        }
        assert!("asap".parse::<Priority>().unwrap_err().to_string().contains("urgent, high"));
    }
}
