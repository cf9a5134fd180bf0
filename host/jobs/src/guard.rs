//! Two guards that pause a kind by themselves: one against a kind that is submitted too fast, and one
//! against a kind that does nothing but fail.

use crate::clock::Millis;

const MINUTE_MS: u64 = 60_000;

/// When a kind is submitted too fast: a plugin that submits itself, a client in a loop. Calls of clients that wait on a
/// connection do not count, because no pause holds them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runaway {
    /// More submissions of one kind than this in a minute pause it.
    pub per_minute: u32,
    /// For so many milliseconds.
    pub pause_ms: u64,
}

impl Default for Runaway {
    /// More than 10,000 in a minute pause a kind for five.
    fn default() -> Self {
        Self { per_minute: 10_000, pause_ms: 5 * MINUTE_MS }
    }
}

/// The submissions of one kind in the present minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    since: Millis,
    count: u32,
}

impl Minute {
    /// Counts `jobs` submissions at `at`. True if they are too many, at most once in a minute.
    pub fn count(&mut self, jobs: u32, at: Millis, limit: &Runaway) -> bool {
        // A clock that was set back begins a new minute as well.
        if at < self.since || at.since_ms(self.since) >= MINUTE_MS {
            *self = Self { since: at, count: 0 };
        }
        let before = self.count;
        self.count = before.saturating_add(jobs);
        before <= limit.per_minute && self.count > limit.per_minute
    }
}

/// When a kind does nothing but fail: what it depends on is down, and each try costs time and money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// So many failed attempts in a row, over all jobs of a kind, pause it.
    pub failures: u32,
    /// For so many milliseconds. The first attempt after that pauses it again if it fails as well.
    pub pause_ms: u64,
}

impl Default for Breaker {
    /// Twenty failures in a row pause a kind for a minute.
    fn default() -> Self {
        Self { failures: 20, pause_ms: MINUTE_MS }
    }
}

/// The attempts of one kind that failed in a row. It is dropped by a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    failures: u32,
}

impl Row {
    /// An attempt failed. True if the kind is to be paused.
    pub fn failed(&mut self, breaker: &Breaker) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= breaker.failures
    }

    /// How many failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_submissions_in_a_minute_are_told_once() {
        let limit = Runaway { per_minute: 3, pause_ms: 1 };
        let mut minute = Minute::default();
        let start = Millis(1_000_000);
        let told: Vec<bool> = [(0, 2), (1, 1), (2, 1), (3, 5), (60_000, 3), (60_001, 1)]
            .map(|(ms, jobs)| minute.count(jobs, start.plus_ms(ms), &limit))
            .to_vec();
        assert_eq!(told, [false, false, true, false, false, true]);
        assert!(!minute.count(3, Millis(0), &limit), "the clock was set back");
        assert!(minute.count(u32::MAX, Millis(1), &limit));
    }

    #[test]
    fn failures_in_a_row_pause_a_kind_and_so_does_each_further_one() {
        let breaker = Breaker { failures: 2, pause_ms: 1 };
        let mut row = Row::default();
        assert_eq!(
            [row.failed(&breaker), row.failed(&breaker), row.failed(&breaker)],
            [false, true, true]
        );
        assert_eq!(row.failures(), 3);
    }
}
