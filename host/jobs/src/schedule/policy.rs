//! What becomes of fires that cannot run as they should.

use std::str::FromStr;

/// Fires a schedule may catch up on at once, with `missed = "all"`.
pub const CATCH_UP_MAX: u32 = 100;

/// A text that is no policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a policy of schedules")]
pub struct NotAPolicy(String);

/// What happens to fires that passed while the host was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are dropped.
    Skip,
    /// The latest one runs.
    #[default]
    Once,
    /// The latest ones run, as many as the schedule allows: at most [`CATCH_UP_MAX`].
    All,
}

/// What happens when the job of the last fire still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// The fire is dropped.
    #[default]
    Skip,
    /// Its job waits in the queue like any other.
    Queue,
}

impl Missed {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

impl Overlap {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
        }
    }
}

impl FromStr for Missed {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        [Self::Skip, Self::Once, Self::All]
            .into_iter()
            .find(|missed| missed.as_str() == text)
            .ok_or_else(|| NotAPolicy(text.to_owned()))
    }
}

impl FromStr for Overlap {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        [Self::Skip, Self::Queue]
            .into_iter()
            .find(|overlap| overlap.as_str() == text)
            .ok_or_else(|| NotAPolicy(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_back_and_other_words_are_refused() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            assert_eq!(missed.as_str().parse(), Ok(missed));
        }
        for overlap in [Overlap::Skip, Overlap::Queue] {
            assert_eq!(overlap.as_str().parse(), Ok(overlap));
        }
        assert!("never".parse::<Missed>().is_err() && "once".parse::<Overlap>().is_err());
    }
}
