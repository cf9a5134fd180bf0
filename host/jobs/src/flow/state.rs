//! How a flow stands, from what became of its jobs.

use crate::state::State;

/// How a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowState {
    /// A job of it is not over.
    Running,
    /// All are over, and what failed was not to count.
    Done,
    /// All are over, and one failed.
    Failed,
    /// All are over; none failed, and one was cancelled.
    Cancelled,
}

impl FlowState {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Jobs of a flow that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Where they are.
    pub state: State,
    /// Whether jobs need them, and all of those ignore their failure.
    pub is_ignored: bool,
    /// How many.
    pub jobs: u32,
}

/// How a flow stands whose jobs are these. A failure counts unless every job that needs the failed one
/// ignores it, and there is one.
#[must_use]
pub fn of(tallies: &[Tally]) -> FlowState {
    let has = |is_meant: &dyn Fn(&Tally) -> bool| {
        tallies.iter().any(|tally| tally.jobs > 0 && is_meant(tally))
    };
    if has(&|tally| !tally.state.is_terminal()) {
        FlowState::Running
    } else if has(&|tally| tally.state == State::Failed && !tally.is_ignored) {
        FlowState::Failed
    } else if has(&|tally| tally.state == State::Cancelled && !tally.is_ignored) {
        FlowState::Cancelled
    } else {
        FlowState::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(state: State) -> Tally {
        Tally { state, is_ignored: false, jobs: 1 }
    }

    #[test]
    fn a_flow_runs_while_a_job_of_it_is_not_over() {
        for state in State::ALL {
            let stands = of(&[tally(State::Failed), tally(state)]);
            assert_eq!(stands == FlowState::Running, !state.is_terminal(), "{state:?}");
        }
    }

    #[test]
    fn a_flow_that_is_over_stands_as_the_worst_of_its_jobs_that_count() {
        use State::{Cancelled, Done, Failed};
        let ignored = |state| Tally { is_ignored: true, ..tally(state) };
        let none = Tally { jobs: 0, ..tally(Failed) };
        for (tallies, expected) in [
            (vec![tally(Done)], FlowState::Done),
            (vec![tally(Done), tally(Failed), tally(Cancelled)], FlowState::Failed),
            (vec![tally(Done), tally(Cancelled)], FlowState::Cancelled),
            (vec![tally(Done), ignored(Failed), ignored(Cancelled)], FlowState::Done),
            (vec![tally(Cancelled), ignored(Failed)], FlowState::Cancelled),
            (vec![tally(Done), none], FlowState::Done),
            (vec![], FlowState::Done),
        ] {
            assert_eq!(of(&tallies), expected, "{tallies:?}");
        }
    }
}
