//! Children: jobs that a job submits while it runs, and that it may wait for.
//!
//! A child is known to its parent by a name. The parent runs from its start again after it has waited, and
//! after every failure or loss; a name that it submits again is the child that it has, so nothing is
//! done twice. Only a parent that was retried on request gives a child that has failed, or was
//! cancelled, another life by submitting it again: whoever retries has mended what was broken, and
//! otherwise the failure is the parent's to judge.

use crate::{
    failure::{Disposition, Failure, code},
    flow::Dependency,
    id::JobId,
    job::NewJob,
    lifecycle::Progress,
    state::State,
};

/// Longest name of a child, in bytes.
pub const NAME_BYTES_MAX: usize = 100;

/// Children that one run may submit or wait for.
pub const CHILDREN_MAX: usize = 5_000;

/// How deep jobs may submit each other, unless the operator says otherwise. A job that nobody submitted
/// while it ran has the depth 0, its children 1.
pub const DEPTH_MAX: u32 = 16;

/// A child on its way into the store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChild {
    /// Its name among the children of its parent.
    pub name: String,
    /// The job; another one of this name stands.
    pub job: NewJob,
    /// How deep it may be.
    pub depth_max: u32,
}

/// What became of the submission of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmittedChild {
    /// A new job.
    Created(JobId),
    /// The child of this name, which stands.
    Existing(JobId),
    /// The child of this name, which had no result and runs again.
    Retried(JobId),
    /// It would be at this depth, which is more than it may.
    TooDeep(u32),
    /// This job, which is not its child, has the unique key that it would need.
    Taken(JobId),
}

/// A job as its relatives see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Its id.
    pub id: JobId,
    /// Its name among the children of its parent, if it is a child.
    pub name: Option<String>,
    /// Its kind.
    pub kind: String,
    /// Where it is.
    pub state: State,
}

/// A job among its relatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The name of the job among the children of its parent, which may have been deleted.
    pub name: Option<String>,
    /// How many jobs are above it.
    pub depth: u32,
    /// Children that it waits for.
    pub awaits: u32,
    /// The job that has submitted it, if that is kept.
    pub parent: Option<Relative>,
    /// Its first children, in the order in which it has submitted them.
    pub children: Vec<Relative>,
    /// All that it has.
    pub children_count: u64,
}

/// A child as far as its next submission looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How it stands.
    pub progress: Progress,
    /// The run of the parent that submitted it, or gave it its last life.
    pub submitted_by: i64,
}

/// Whether a child that its parent submits again gets another life. `retried_after` is the last run of the
/// parent before it was retried on request.
#[must_use]
pub fn lives_again(child: &Known, retried_after: i64) -> bool {
    match child.progress.state {
        State::Failed | State::Cancelled => child.submitted_by <= retried_after,
        State::Blocked
        | State::Scheduled
        | State::Queued
        | State::Loading
        | State::Working
        | State::Done => false,
    }
}

/// Whether `text` can name a child.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Why a child that is over has no result.
#[must_use]
pub fn failure(child: &Dependency) -> Failure {
    match (child.state, &child.failure) {
        (State::Cancelled, _) => Failure {
            disposition: Disposition::Cancel,
            ..Failure::fatal(code::CANCELLED, format!("the child `{}` was cancelled", child.name))
        },
        (
            State::Failed
            | State::Done
            | State::Blocked
            | State::Scheduled
            | State::Queued
            | State::Loading
            | State::Working,
            Some(failure),
        ) => failure.clone(),
        (
            State::Failed
            | State::Done
            | State::Blocked
            | State::Scheduled
            | State::Queued
            | State::Loading
            | State::Working,
            None,
        ) => Failure::fatal(
            code::DEPENDENCY_FAILED,
            format!("the child `{}` ended without a result", child.name),
        ),
    }
}

/// Why a parent is blocked.
#[must_use]
pub fn waits_for(children: u32) -> String {
    match children {
        0 => "its children ended meanwhile; it runs again".to_owned(),
        1 => "waits for 1 child".to_owned(),
        _ => format!("waits for {children} children"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Entropy, Millis};

    struct Seven;
    impl Entropy for Seven {
        fn roll(&self) -> u128 {
            7
        }
    }

    #[test]
    fn only_a_retry_on_request_gives_a_child_without_a_result_another_life() {
        for state in State::ALL {
            let progress = Progress { state, attempt: 1, losses: 0, losses_max: 3 };
            let has_no_result = matches!(state, State::Failed | State::Cancelled);
            for (submitted_by, is_older) in [(2, true), (3, true), (4, false)] {
                let lives = lives_again(&Known { progress, submitted_by }, 3);
                assert_eq!(lives, has_no_result && is_older, "{state:?} {submitted_by}");
            }
        }
    }

    #[test]
    fn a_name_is_short_and_can_be_shown() {
        for name in ["page 7", "https://example.com/ä", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(!is_name(other), "{other:?}");
        }
    }

    #[test]
    fn a_child_without_a_result_says_why() {
        let child = |state, failure| Dependency {
            name: "page".to_owned(),
            job: JobId::at(Millis(1), &Seven),
            state,
            output: None,
            output_bytes: 0,
            failure,
        };
        let gone = Failure::fatal("gone", "it is gone");
        assert_eq!(failure(&child(State::Failed, Some(gone.clone()))), gone);
        let cancelled = failure(&child(State::Cancelled, Some(gone)));
        assert_eq!((cancelled.disposition, &*cancelled.code), (Disposition::Cancel, "cancelled"));
        assert_eq!(failure(&child(State::Failed, None)).code, "dependency-failed");
    }
}
