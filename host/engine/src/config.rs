//! What an operator can set of the engine.

use roughneck_jobs::{class::Slots, clock::Millis, guard::Breaker, state::State};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How the engine behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The classes and their slots.
    pub slots: Vec<Slots>,
    /// How long jobs are kept after their end.
    pub retention: Retention,
    /// When a kind that does nothing but fail is paused; never if there is none.
    pub breaker: Option<Breaker>,
    /// How deep jobs may submit each other.
    pub depth_max: u32,
}

/// How long a job is kept after its end, by how it ended: milliseconds, or none for ever. A job whose
/// webhooks are still being sent is kept until they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// With a result.
    pub done_ms: Option<u64>,
    /// As a dead letter.
    pub failed_ms: Option<u64>,
    /// On request.
    pub cancelled_ms: Option<u64>,
}

impl Default for Retention {
    /// Two weeks for the dead letters, which somebody should look at, and one for the others.
    fn default() -> Self {
        Self {
            done_ms: Some(7 * DAY_MS),
            failed_ms: Some(14 * DAY_MS),
            cancelled_ms: Some(7 * DAY_MS),
        }
    }
}

impl Retention {
    /// The latest end of the jobs that go now, by state.
    pub(crate) fn ends(&self, now: Millis) -> impl Iterator<Item = (State, Millis)> {
        [
            (State::Done, self.done_ms),
            (State::Failed, self.failed_ms),
            (State::Cancelled, self.cancelled_ms),
        ]
        .into_iter()
        .filter_map(move |(state, kept_ms)| Some((state, now.minus_ms(kept_ms?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_own_limit_and_none_is_for_ever() {
        let now = Millis(20 * 86_400_000);
        let ends = |retention: Retention| retention.ends(now).collect::<Vec<_>>();
        let week = Millis(13 * 86_400_000);
        let all = [
            (State::Done, week),
            (State::Failed, Millis(6 * 86_400_000)),
            (State::Cancelled, week),
        ];
        assert_eq!(ends(Retention::default()), all);
        let some = Retention { done_ms: None, failed_ms: Some(u64::MAX), cancelled_ms: Some(0) };
        let beginning = now.minus_ms(u64::MAX);
        assert_eq!(ends(some), [(State::Failed, beginning), (State::Cancelled, now)]);
    }
}
