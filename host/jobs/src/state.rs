//! The states of a job.

/// Where a job is. `host/docs/job-states.md` draws the moves; [`crate::lifecycle`] decides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for other jobs, or is parked without a slot.
    Blocked,
    /// May run later: a start time, a retry, or a postponement.
    Scheduled,
    /// May run now, and waits for a slot of its class.
    Queued,
    /// Holds a slot while its model is being loaded.
    Loading,
    /// Holds a slot and runs.
    Working,
    /// Finished with a result.
    Done,
    /// Finished without one, kept as a dead letter.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl State {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Blocked,
        Self::Scheduled,
        Self::Queued,
        Self::Loading,
        Self::Working,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Loading => "loading",
            Self::Working => "working",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the job holds a slot and a lease.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Loading | Self::Working)
    }

    /// Whether the job will never run again by itself.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A name that is no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a state: use blocked, scheduled, queued, loading, working, done, failed or cancelled"
)]
pub struct NotAState(String);

impl std::str::FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| NotAState(text.chars().take(64).collect()))
    }
}
