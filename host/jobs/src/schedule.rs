//! Schedules: when a cron entry fires. Instants come from the schedule, never from "now", so a late
//! or repeated look fires the same instants.

use std::str::FromStr;

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

use crate::{clock::Millis, manifest::text};

/// Fires a schedule may catch up on at once, with `missed = "all"`.
pub const CATCH_UP_MAX: usize = 100;

/// What happens to fires that passed while the host was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are dropped.
    Skip,
    /// The latest one runs.
    #[default]
    Once,
    /// All run, at most [`CATCH_UP_MAX`].
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

/// The identity of one fire: a schedule and the instant it was due. The store takes each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The schedule's id.
    pub schedule: String,
    /// The instant of the schedule, not of the clock.
    pub at: Millis,
}

/// A schedule, read and checked.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Identity, `plugin/id`: changing the expression does not make a second schedule.
    pub id: String,
    /// The kind it submits.
    pub kind: String,
    /// JSON input of each job.
    pub input: String,
    /// The expression as written.
    pub expr: String,
    /// What to do about missed fires.
    pub missed: Missed,
    /// What to do about overlap.
    pub overlap: Overlap,
    timing: Timing,
}

#[derive(Clone, Debug)]
enum Timing {
    /// Multiples of a period since the epoch, so that a restart does not move them.
    Every {
        period_ms: i64,
    },
    Cron {
        pattern: Box<Cron>,
        zone: TimeZone,
    },
}

/// Why a schedule cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Not an expression.
    #[error(
        "`{expr}` is not a schedule: {why}; write five cron fields such as `0 6 * * MON`, or `@every 5m`"
    )]
    Expression {
        /// As written.
        expr: String,
        /// What the parser says.
        why: String,
    },
    /// Not a zone.
    #[error("`{0}` is not a time zone; write an IANA name such as `Europe/Berlin`")]
    Zone(String),
}

/// The parts of a schedule as a manifest or a caller writes them.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    /// Identity.
    pub id: &'a str,
    /// The kind it submits.
    pub kind: &'a str,
    /// JSON input.
    pub input: &'a str,
    /// Cron expression or `@every <duration>`.
    pub expr: &'a str,
    /// IANA zone; `UTC` by default.
    pub zone: Option<&'a str>,
    /// What to do about missed fires.
    pub missed: Missed,
    /// What to do about overlap.
    pub overlap: Overlap,
}

impl Schedule {
    /// Reads and checks a schedule.
    ///
    /// # Errors
    /// [`ScheduleError`] names the expression or the zone that cannot be read.
    pub fn new(spec: &Spec<'_>) -> Result<Self, ScheduleError> {
        let timing = match spec.expr.strip_prefix("@every ") {
            Some(period) => every(spec.expr, period.trim())?,
            None => cron(spec.expr, spec.zone)?,
        };
        Ok(Self {
            id: spec.id.to_owned(),
            kind: spec.kind.to_owned(),
            input: spec.input.to_owned(),
            expr: spec.expr.to_owned(),
            missed: spec.missed,
            overlap: spec.overlap,
            timing,
        })
    }

    /// The first fire after `after`, or none when there is no other one.
    #[must_use]
    pub fn next_after(&self, after: Millis) -> Option<Millis> {
        match &self.timing {
            Timing::Every { period_ms } => {
                let next =
                    after.0.div_euclid(*period_ms).checked_add(1)?.checked_mul(*period_ms)?;
                Some(Millis(next))
            }
            Timing::Cron { pattern, zone } => {
                let start = Timestamp::from_millisecond(after.0).ok()?.to_zoned(zone.clone());
                let next = pattern.find_next_occurrence(&start, false).ok()?;
                Some(Millis(next.timestamp().as_millisecond()))
            }
        }
    }

    /// The fires that are due at `now`, when the last one handled was at `last`, the oldest first.
    /// The missed policy is applied: `skip` keeps only a fire of the last `grace_ms`.
    #[must_use]
    pub fn due(&self, last: Millis, now: Millis, grace_ms: u64) -> Vec<Millis> {
        // Backwards from now, so that a long absence costs no more steps than fires that run.
        let wanted = match self.missed {
            Missed::All => CATCH_UP_MAX,
            Missed::Once | Missed::Skip => 1,
        };
        let mut fires: Vec<Millis> = Vec::new();
        let mut before = Millis(now.0.saturating_add(1));
        while let Some(fire) = self.last_before(before).filter(|fire| *fire > last) {
            fires.push(fire);
            before = fire;
            if fires.len() == wanted {
                break;
            }
        }
        fires.reverse();
        match self.missed {
            Missed::All | Missed::Once => {}
            Missed::Skip => fires.retain(|at| now.since_ms(*at) <= grace_ms),
        }
        fires
    }

    /// The last fire before `before`, or none when there was no earlier one.
    fn last_before(&self, before: Millis) -> Option<Millis> {
        match &self.timing {
            Timing::Every { period_ms } => {
                let last =
                    before.0.checked_sub(1)?.div_euclid(*period_ms).checked_mul(*period_ms)?;
                Some(Millis(last))
            }
            Timing::Cron { pattern, zone } => {
                // The search drops fractions and steps back by a second: from 12:00:00.001 it would
                // not find 12:00:00.
                let seconds = before.0.checked_add(999)?.div_euclid(1_000);
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
        Ok(period_ms) if period_ms >= 1_000 => Ok(Timing::Every { period_ms }),
        Ok(_) | Err(_) => Err(wrong("the period must be at least one second".to_owned())),
    }
}

fn cron(expr: &str, zone: Option<&str>) -> Result<Timing, ScheduleError> {
    let name = zone.unwrap_or("UTC");
    let zone = TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?;
    let pattern = Cron::from_str(expr).map_err(|error| ScheduleError::Expression {
        expr: expr.to_owned(),
        why: error.to_string(),
    })?;
    Ok(Timing::Cron { pattern: Box::new(pattern), zone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(expr: &str, zone: Option<&str>, missed: Missed) -> Schedule {
        let spec =
            Spec { id: "p/s", kind: "k", input: "{}", expr, zone, missed, overlap: Overlap::Skip };
        Schedule::new(&spec).unwrap()
    }

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn fires_come_from_the_schedule_and_not_from_the_clock() {
        let every = schedule("@every 5m", None, Missed::Once);
        assert_eq!(every.next_after(at("2026-01-01T00:00:01Z")), Some(at("2026-01-01T00:05:00Z")));
        assert_eq!(every.next_after(at("2026-01-01T00:05:00Z")), Some(at("2026-01-01T00:10:00Z")));
        let monday = schedule("0 6 * * MON", Some("Europe/Berlin"), Missed::Once);
        assert_eq!(monday.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-01-05T05:00:00Z")));
    }

    #[test]
    fn a_repeated_hour_fires_once_and_a_skipped_one_at_the_next_valid_instant() {
        let daily = schedule("30 2 * * *", Some("Europe/Berlin"), Missed::All);
        // Spring forward on 2026-03-29: 02:30 does not exist.
        let spring = daily.next_after(at("2026-03-28T12:00:00Z")).unwrap();
        assert!(
            spring >= at("2026-03-29T01:00:00Z") && spring <= at("2026-03-29T01:30:00Z"),
            "{spring}"
        );
        // Fall back on 2026-10-25: 02:30 happens twice.
        let fires = daily.due(at("2026-10-24T12:00:00Z"), at("2026-10-25T12:00:00Z"), 0);
        assert_eq!(fires.len(), 1, "{fires:?}");
    }

    #[test]
    fn a_fire_is_due_from_within_its_own_second_on() {
        let noon = at("2026-01-01T12:00:00Z");
        for expr in ["0 12 * * *", "@every 12h"] {
            let daily = schedule(expr, None, Missed::Once);
            for late_ms in [0, 1, 10, 999, 1_000] {
                let due = daily.due(noon.minus_ms(1), noon.plus_ms(late_ms), 0);
                assert_eq!(due, [noon], "{expr} {late_ms} ms late");
            }
        }
    }

    #[test]
    fn missed_fires_follow_their_policy() {
        let (last, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T03:30:00Z"));
        let due = |missed| schedule("0 * * * *", None, missed).due(last, now, 60_000).len();
        assert_eq!((due(Missed::Skip), due(Missed::Once), due(Missed::All)), (0, 1, 3));
        let long = schedule("@every 1s", None, Missed::All).due(last, now, 0);
        assert_eq!((long.len(), long.last().copied()), (CATCH_UP_MAX, Some(now)));
    }

    #[test]
    fn what_cannot_be_read_is_explained() {
        let read = |expr, zone| {
            let (missed, overlap) = (Missed::Once, Overlap::Skip);
            Schedule::new(&Spec { id: "p/s", kind: "k", input: "{}", expr, zone, missed, overlap })
                .unwrap_err()
                .to_string()
        };
        assert!(read("0 25 * * *", None).starts_with("`0 25 * * *` is not a schedule: "));
        assert!(read("@every 10ms", None).contains("at least one second"));
        assert!(read("0 6 * * *", Some("Mars/Olympus")).contains("Europe/Berlin"));
    }
}
