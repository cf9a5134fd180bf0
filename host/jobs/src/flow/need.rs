//! What an edge of a flow means.

use std::{fmt, str::FromStr};

use crate::{failure::Failure, failure::code, id::JobId, state::State};

/// What a job does when a job that it needs ends without a result: failed, cancelled or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It fails as well.
    #[default]
    Fail,
    /// It runs, and sees that there is no result.
    Continue,
    /// The same, and the failure does not count as one of the flow.
    Ignore,
}

impl OnFailure {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Continue => "continue",
            Self::Ignore => "ignore",
        }
    }
}

/// A name of no such rule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no rule for a failure: use fail, continue or ignore")]
pub struct NotARule(String);

impl FromStr for OnFailure {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        [Self::Fail, Self::Continue, Self::Ignore]
            .into_iter()
            .find(|rule| rule.as_str() == text)
            .ok_or_else(|| NotARule(text.chars().take(64).collect()))
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An edge: the job that is needed, and what its failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The job that must be over first.
    pub job: JobId,
    /// What follows if it ends without a result.
    pub on_failure: OnFailure,
}

/// How an edge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The needed job is not over.
    Open,
    /// It keeps nobody waiting any more.
    Met,
    /// The needed job ended without a result, and the job that needs it fails.
    Broken,
}

/// How an edge stands whose needed job is in this state; none if it was deleted.
#[must_use]
pub fn standing(needed: Option<State>, on_failure: OnFailure) -> Standing {
    match needed {
        Some(
            State::Blocked | State::Scheduled | State::Queued | State::Loading | State::Working,
        ) => Standing::Open,
        Some(State::Done) => Standing::Met,
        Some(State::Failed | State::Cancelled) | None => match on_failure {
            OnFailure::Fail => Standing::Broken,
            OnFailure::Continue | OnFailure::Ignore => Standing::Met,
        },
    }
}

/// The failure of a job because of the job `needed`, which ended in this state, or was deleted. `root`
/// is the job at which it began, if it is another one.
#[must_use]
pub fn broken(needed: &str, state: Option<State>, root: Option<&str>) -> Failure {
    let end = match state {
        Some(State::Cancelled) => "was cancelled",
        None => "was deleted",
        Some(
            State::Failed
            | State::Done
            | State::Blocked
            | State::Scheduled
            | State::Queued
            | State::Loading
            | State::Working,
        ) => "has failed",
    };
    let message = match root {
        None => format!("it needs `{needed}`, which {end}"),
        Some(root) => format!("it needs `{needed}`, which fails because `{root}` {end}"),
    };
    Failure::fatal(code::DEPENDENCY_FAILED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_open_until_the_needed_job_is_over_and_then_met_or_broken() {
        for state in State::ALL {
            for rule in [OnFailure::Fail, OnFailure::Continue, OnFailure::Ignore] {
                let expected = match (state.is_terminal(), state) {
                    (false, _) => Standing::Open,
                    (true, State::Done) => Standing::Met,
                    (true, _) if rule == OnFailure::Fail => Standing::Broken,
                    (true, _) => Standing::Met,
                };
                assert_eq!(standing(Some(state), rule), expected, "{state:?} {rule}");
            }
        }
    }

    #[test]
    fn a_deleted_job_is_one_without_a_result() {
        assert_eq!(standing(None, OnFailure::Fail), Standing::Broken);
        assert_eq!(standing(None, OnFailure::Continue), Standing::Met);
        assert_eq!(standing(None, OnFailure::Ignore), Standing::Met);
    }

    #[test]
    fn a_rule_is_read_by_its_name() {
        for rule in [OnFailure::Fail, OnFailure::Continue, OnFailure::Ignore] {
            assert_eq!(rule.as_str().parse(), Ok(rule));
        }
        let sentence = "skip".parse::<OnFailure>().unwrap_err().to_string();
        assert_eq!(sentence, "`skip` is no rule for a failure: use fail, continue or ignore");
    }

    #[test]
    fn a_job_that_fails_with_another_names_it_and_where_it_began() {
        let message = |state, root| broken("fetch", state, root).message;
        assert_eq!(message(Some(State::Failed), None), "it needs `fetch`, which has failed");
        assert_eq!(message(Some(State::Cancelled), None), "it needs `fetch`, which was cancelled");
        assert_eq!(message(None, None), "it needs `fetch`, which was deleted");
        assert_eq!(
            message(Some(State::Failed), Some("login")),
            "it needs `fetch`, which fails because `login` has failed"
        );
    }
}
