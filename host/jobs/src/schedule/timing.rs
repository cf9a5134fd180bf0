//! The instants of an expression, forwards and backwards.

use std::str::FromStr;

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

use super::{ScheduleError, fields};
use crate::{clock::Millis, intake::RUN_AT_MS_MAX, manifest::text};

const SECOND_MS: i64 = 1_000;

/// A year, as long as a job may be put off.
const PERIOD_MS_MAX: i64 = RUN_AT_MS_MAX.cast_signed();

#[derive(Clone, Debug)]
pub(super) enum Timing {
    /// Multiples of a period since the epoch, so that a restart does not move them.
    Every {
        period_ms: i64,
    },
    Cron {
        pattern: Box<Cron>,
        zone: TimeZone,
    },
}

impl Timing {
    /// Reads `@every <duration>`, or a cron expression that is meant in `zone`.
    pub(super) fn read(expr: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        match expr.strip_prefix("@every ") {
            Some(period) => every(expr, period.trim()),
            None => cron(expr, zone),
        }
    }

    /// The first instant after `after`, or none when there is no other one.
    pub(super) fn next_after(&self, after: Millis) -> Option<Millis> {
        match self {
            Self::Every { period_ms } => {
                let next =
                    after.0.div_euclid(*period_ms).checked_add(1)?.checked_mul(*period_ms)?;
                Some(Millis(next))
            }
            Self::Cron { pattern, zone } => {
                let start = Timestamp::from_millisecond(after.0).ok()?.to_zoned(zone.clone());
                let next = pattern.find_next_occurrence(&start, false).ok()?;
                Some(Millis(next.timestamp().as_millisecond()))
            }
        }
    }

    /// The last instant before `before`, or none when there was no earlier one.
    pub(super) fn last_before(&self, before: Millis) -> Option<Millis> {
        match self {
            Self::Every { period_ms } => {
                let last =
                    before.0.checked_sub(1)?.div_euclid(*period_ms).checked_mul(*period_ms)?;
                Some(Millis(last))
            }
            Self::Cron { pattern, zone } => {
                // The search drops fractions and steps back by a second: from 12:00:00.001 it would
                // not find 12:00:00.
                let seconds = before.0.checked_add(SECOND_MS - 1)?.div_euclid(SECOND_MS);
                let end = Timestamp::from_second(seconds).ok()?.to_zoned(zone.clone());
                let last = pattern.find_previous_occurrence(&end, false).ok()?;
                Some(Millis(last.timestamp().as_millisecond()))
            }
        }
    }
}

fn every(expr: &str, period: &str) -> Result<Timing, ScheduleError> {
    let wrong = |why: String| ScheduleError::Expression { expr: expr.to_owned(), why };
    let period_ms = text::duration_ms(period).map_err(|error| wrong(error.to_string()))?;
    match i64::try_from(period_ms) {
        Ok(period_ms) if period_ms < SECOND_MS => {
            Err(wrong("the period must be at least one second".to_owned()))
        }
        Ok(period_ms) if period_ms <= PERIOD_MS_MAX => Ok(Timing::Every { period_ms }),
        Ok(_) | Err(_) => Err(wrong("the period must be at most a year, which is 366d".to_owned())),
    }
}

fn cron(expr: &str, zone: TimeZone) -> Result<Timing, ScheduleError> {
    let wrong = |why: String| ScheduleError::Expression { expr: expr.to_owned(), why };
    fields::check(expr).map_err(wrong)?;
    // It reads all that has passed.
    let pattern = Cron::from_str(expr).map_err(|error| wrong(error.to_string()))?;
    Ok(Timing::Cron { pattern: Box::new(pattern), zone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(expr: &str, zone: &str) -> Timing {
        Timing::read(expr, TimeZone::get(zone).unwrap()).unwrap()
    }

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    /// Less than a day, even where the clocks are set forward.
    const DAY_MS: u64 = 23 * 3_600_000;

    /// All instants of almost a day, forwards.
    fn instants(timing: &Timing, from: Millis) -> Vec<Millis> {
        let until = from.plus_ms(DAY_MS);
        let next = |at: &Millis| timing.next_after(*at);
        std::iter::successors(next(&from), next).take_while(|at| *at <= until).collect()
    }

    /// The same, backwards, the oldest first.
    fn backwards(timing: &Timing, from: Millis) -> Vec<Millis> {
        let until = from.plus_ms(DAY_MS);
        let last = |at: &Millis| timing.last_before(*at);
        let mut all: Vec<Millis> = std::iter::successors(last(&Millis(until.0 + 1)), last)
            .take_while(|at| *at > from)
            .collect();
        all.reverse();
        all
    }

    #[test]
    fn instants_come_from_the_expression_and_not_from_the_clock() {
        let every = timing("@every 5m", "UTC");
        assert_eq!(every.next_after(at("2026-01-01T00:00:01Z")), Some(at("2026-01-01T00:05:00Z")));
        assert_eq!(every.next_after(at("2026-01-01T00:05:00Z")), Some(at("2026-01-01T00:10:00Z")));
        let monday = timing("0 6 * * MON", "Europe/Berlin");
        assert_eq!(monday.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-01-05T05:00:00Z")));
    }

    #[test]
    fn an_instant_is_found_from_within_its_own_second() {
        let noon = at("2026-01-01T12:00:00Z");
        for expr in ["0 12 * * *", "@every 12h"] {
            let daily = timing(expr, "UTC");
            for late_ms in [1, 10, 999, 1_000, 1_001] {
                assert_eq!(
                    daily.last_before(noon.plus_ms(late_ms)),
                    Some(noon),
                    "{expr} {late_ms}"
                );
            }
            assert!(daily.last_before(noon) < Some(noon), "{expr}");
        }
    }

    /// A day with a change of the clocks: zone, expression, a moment before, and all that must fire.
    #[rustfmt::skip] // A table reads best with one row on one line.
    const CHANGES: &[(&str, &str, &str, &[&str])] = &[
        // Spring: 02:30 does not exist, and runs once at the next instant that does.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z"]),
        ("America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z", &["2026-03-08T07:00:00Z"]),
        ("Australia/Sydney", "30 2 * * *", "2026-10-03T04:00:00Z", &["2026-10-03T16:00:00Z"]),
        // Here the clocks skip midnight.
        ("America/Santiago", "30 0 * * *", "2026-09-05T12:00:00Z", &["2026-09-06T04:00:00Z"]),
        // Lord Howe moves by half an hour only.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T04:00:00Z", &["2026-10-03T15:30:00Z"]),
        // Autumn: 02:30 comes twice, and runs the first time.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", &["2026-11-01T05:30:00Z"]),
        ("Australia/Sydney", "30 2 * * *", "2026-04-04T04:00:00Z", &["2026-04-04T15:30:00Z"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T04:00:00Z", &["2026-04-04T14:45:00Z"]),
        // Far from the change nothing is special, and some zones have none.
        ("Europe/Berlin", "0 12 * * *", "2026-03-28T12:00:00Z", &["2026-03-29T10:00:00Z"]),
        ("Asia/Kolkata", "30 2 * * *", "2026-03-28T12:00:00Z", &["2026-03-28T21:00:00Z"]),
        ("UTC", "30 2 * * *", "2026-03-28T12:00:00Z", &["2026-03-29T02:30:00Z"]),
    ];

    #[test]
    fn what_falls_into_a_change_of_the_clocks_fires_once() {
        for (zone, expr, from, expected) in CHANGES {
            let fires = instants(&timing(expr, zone), at(from));
            let expected: Vec<Millis> = expected.iter().map(|text| at(text)).collect();
            assert_eq!(fires, expected, "{zone} {expr} from {from}: {fires:?}");
        }
    }

    #[test]
    fn an_hourly_schedule_follows_the_hours_that_pass() {
        for (zone, change) in
            [("Europe/Berlin", "2026-03-28T12:00:00Z"), ("Europe/Berlin", "2026-10-24T12:00:00Z")]
        {
            let fires = instants(&timing("0 * * * *", zone), at(change));
            assert_eq!(fires.len(), 23, "{zone} {change}");
            assert!(fires.windows(2).all(|pair| pair[1].since_ms(pair[0]) == 3_600_000));
        }
    }

    #[test]
    fn backwards_there_are_the_same_instants_as_forwards() {
        let exprs =
            ["30 2 * * *", "30 0 * * *", "0 * * * *", "*/20 1-3 * * *", "45 1 * * *", "@every 7m"];
        for (zone, _, from, _) in CHANGES {
            for expr in exprs {
                let timing = timing(expr, zone);
                let from = at(from);
                assert_eq!(
                    instants(&timing, from),
                    backwards(&timing, from),
                    "{zone} {expr} {from}"
                );
            }
        }
    }

    #[test]
    fn a_schedule_fires_once_a_minute_at_most() {
        let refused = Timing::read("* * * * * *", TimeZone::UTC).unwrap_err().to_string();
        assert!(refused.contains("it has 6 of five fields; write five cron fields"), "{refused}");
    }

    #[test]
    fn the_sunday_at_either_end_of_a_week_is_one_day() {
        let weekend = timing("0 12 * * SAT-SUN", "UTC");
        let days = |at: &Millis| weekend.next_after(*at);
        let days = std::iter::successors(days(&at("2026-01-02T00:00:00Z")), days).take(3);
        let noons = ["2026-01-03T12:00:00Z", "2026-01-04T12:00:00Z", "2026-01-10T12:00:00Z"];
        assert!(days.eq(noons.map(at)));
    }

    #[test]
    fn a_day_that_never_comes_has_no_instant() {
        let never = timing("0 0 31 2 *", "UTC");
        assert_eq!((never.next_after(Millis(0)), never.last_before(Millis(0))), (None, None));
        assert_eq!(timing("@every 1h", "UTC").next_after(Millis(i64::MAX)), None);
        assert_eq!(timing("0 0 * * *", "UTC").last_before(Millis(i64::MAX)), None);
    }
}
