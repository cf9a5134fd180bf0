//! Which fires are due after an absence, long or short.

use super::{Missed, Schedule};
use crate::clock::Millis;

/// Missed fires that one look counts. It is a figure for people, and a year of seconds has many.
const COUNTED_MAX: usize = 1_000;

/// What a look at a schedule found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The fires that run, the oldest first.
    pub fires: Vec<Millis>,
    /// Fires that passed and do not run.
    pub missed: u32,
}

impl Schedule {
    /// The fires that are due at `now`, when the last one handled was at `last`. The missed policy is
    /// applied: `skip` keeps only a fire of the last `grace_ms`.
    #[must_use]
    pub fn due(&self, last: Millis, now: Millis, grace_ms: u64) -> Due {
        let wanted = match self.spec.missed {
            Missed::All => usize::try_from(self.spec.missed_max).unwrap_or(usize::MAX),
            Missed::Once | Missed::Skip => 1,
        };
        // Backwards from now, so that a long absence costs no more steps than fires that run or count.
        let before = |at: &Millis| self.timing.last_before(*at);
        let latest = self.timing.last_before(now.plus_ms(1));
        let passed = std::iter::successors(latest, before).take_while(|fire| *fire > last);
        let mut passed = passed.take(wanted.saturating_add(COUNTED_MAX));
        let mut fires: Vec<Millis> = passed.by_ref().take(wanted).collect();
        let mut missed = passed.count();
        fires.reverse();
        match self.spec.missed {
            Missed::All | Missed::Once => {}
            Missed::Skip => {
                let before = fires.len();
                fires.retain(|at| now.since_ms(*at) <= grace_ms);
                missed += before - fires.len();
            }
        }
        Due { fires, missed: u32::try_from(missed).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{CATCH_UP_MAX, tests::schedule};

    const NOON: Millis = Millis(1_767_268_800_000);
    const HOUR_MS: u64 = 3_600_000;

    fn due(expr: &str, missed: Missed, away_ms: u64, now: Millis) -> Due {
        schedule(expr, "UTC", missed).due(now.minus_ms(away_ms), now, 60_000)
    }

    #[test]
    fn a_fire_on_time_runs_whatever_the_policy_also_in_its_very_second() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            for expr in ["0 * * * *", "@every 1h"] {
                for late_ms in [0, 1, 10, 999, 30_000] {
                    let now = NOON.plus_ms(late_ms);
                    let found = due(expr, missed, HOUR_MS / 2, now);
                    let expected = Due { fires: vec![NOON], missed: 0 };
                    assert_eq!(found, expected, "{expr} {missed:?} {late_ms}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_due_between_two_fires_or_when_the_clock_was_set_back() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let hourly = schedule("0 * * * *", "UTC", missed);
            let (last, now) = (NOON.plus_ms(1), NOON.plus_ms(HOUR_MS - 1));
            assert_eq!(hourly.due(last, now, 60_000), Due::default());
            assert_eq!(hourly.due(now.plus_ms(HOUR_MS), now, 60_000), Due::default());
        }
    }

    #[test]
    fn missed_fires_follow_their_policy_and_the_others_are_counted() {
        let now = NOON.plus_ms(HOUR_MS / 2);
        let counts = |missed| {
            let found = due("0 * * * *", missed, 8 * HOUR_MS, now);
            (found.fires.len(), found.missed)
        };
        assert_eq!(counts(Missed::Skip), (0, 8));
        assert_eq!(counts(Missed::Once), (1, 7));
        assert_eq!(counts(Missed::All), (8, 0));
        assert_eq!(due("0 * * * *", Missed::Once, 8 * HOUR_MS, now).fires, [NOON]);
    }

    #[test]
    fn catching_up_has_a_limit_and_takes_the_latest() {
        let found = due("@every 1s", Missed::All, 8 * HOUR_MS, NOON);
        assert_eq!(found.fires.len(), CATCH_UP_MAX as usize);
        assert_eq!((found.fires.last(), found.missed), (Some(&NOON), COUNTED_MAX as u32));
        let mut few = schedule("0 * * * *", "UTC", Missed::All);
        few.spec.missed_max = 3;
        let found = few.due(NOON.minus_ms(8 * HOUR_MS), NOON, 0);
        assert_eq!((found.fires.len(), found.missed), (3, 5));
    }

    #[test]
    fn an_absence_of_years_is_looked_through_in_bounded_steps() {
        let found = due("* * * * *", Missed::Once, 10 * 366 * 24 * HOUR_MS, NOON);
        assert_eq!((found.fires, found.missed), (vec![NOON], COUNTED_MAX as u32));
    }
}
