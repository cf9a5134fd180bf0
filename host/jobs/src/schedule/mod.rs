//! Schedules: when an expression fires, and what is known of each. Instants come from the schedule,
//! never from "now", so a late or repeated look fires the same instants.

mod due;
mod fields;
mod kept;
pub mod known;
mod policy;
mod spec;
mod timing;
mod written;

use jiff::{Timestamp, tz::TimeZone};

pub use due::Due;
pub use kept::{Kept, LastFire, Made, Pause};
pub use known::{Known, Origin};
pub use policy::{CATCH_UP_MAX, Missed, NotAPolicy, Overlap};
pub use spec::{ScheduleError, Spec};
pub use written::{NotWritten, Written};

use crate::clock::Millis;
use timing::Timing;

/// Schedules that can be made over HTTP. Each costs a little at every look.
pub const MADE_MAX: u32 = 1_000;

/// The zone of a schedule that names none.
pub const UTC: &str = "UTC";

/// What made a schedule submit a job. The store takes each instant once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The schedule's id.
    pub schedule: String,
    /// The instant of the schedule, not of the clock; none if somebody ran it by hand.
    pub at: Option<Millis>,
}

/// A schedule, read and checked.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What it says.
    pub spec: Spec,
    timing: Timing,
    zone: TimeZone,
}

impl Schedule {
    /// Reads and checks a schedule.
    ///
    /// # Errors
    /// [`ScheduleError`] names what cannot be read.
    pub fn new(spec: Spec) -> Result<Self, ScheduleError> {
        let zone = TimeZone::get(&spec.zone).map_err(|_| ScheduleError::Zone(spec.zone.clone()))?;
        if !(1..=CATCH_UP_MAX).contains(&spec.missed_max) {
            return Err(ScheduleError::MissedMax(spec.missed_max));
        }
        let timing = Timing::read(&spec.expr, zone.clone())?;
        // From the epoch, so that it does not depend on the clock.
        if timing.next_after(Millis(0)).is_none() {
            return Err(ScheduleError::Never(spec.expr));
        }
        Ok(Self { spec, timing, zone })
    }

    /// The first fire after `after`, or none when there is no other one.
    #[must_use]
    pub fn next_after(&self, after: Millis) -> Option<Millis> {
        self.timing.next_after(after)
    }

    /// The fires after `after`, as many as there are.
    pub fn fires_after(&self, after: Millis) -> impl Iterator<Item = Millis> {
        std::iter::successors(self.next_after(after), |at| self.next_after(*at))
    }

    /// An instant as a clock in the schedule's zone shows it, such as `2026-03-29T03:00:00+02:00`.
    #[must_use]
    pub fn local(&self, at: Millis) -> String {
        match Timestamp::from_millisecond(at.0) {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Err(_) => at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn spec(expr: &str, zone: &str, missed: Missed) -> Spec {
        Spec {
            id: "p/s".into(),
            kind: "k".into(),
            expr: expr.into(),
            zone: zone.into(),
            input: "{}".into(),
            priority: None,
            caller: None,
            missed,
            missed_max: CATCH_UP_MAX,
            overlap: Overlap::Skip,
        }
    }

    pub(super) fn schedule(expr: &str, zone: &str, missed: Missed) -> Schedule {
        Schedule::new(spec(expr, zone, missed)).unwrap()
    }

    #[test]
    fn fires_are_shown_in_the_zone_of_the_schedule_across_a_change_of_its_clocks() {
        let daily = schedule("0 6 * * *", "Europe/Berlin", Missed::Once);
        // 2026-03-27, noon.
        let fires: Vec<String> = daily
            .fires_after(Millis(1_774_612_800_000))
            .take(2)
            .map(|at| daily.local(at))
            .collect();
        assert_eq!(fires, ["2026-03-28T06:00:00+01:00", "2026-03-29T06:00:00+02:00"]);
    }

    #[test]
    fn what_cannot_be_read_is_explained() {
        let read =
            |expr, zone| Schedule::new(spec(expr, zone, Missed::Once)).unwrap_err().to_string();
        assert!(read("0 25 * * *", "UTC").starts_with("`0 25 * * *` is not a schedule: "));
        assert!(read("@every 10ms", "UTC").contains("at least one second"));
        for endless in ["@every 999999999999h", "@every 367d", "@every 99999999999999d"] {
            assert!(read(endless, "UTC").contains("at most a year"), "{endless}");
        }
        assert!(Schedule::new(spec("@every 366d", "UTC", Missed::Once)).is_ok());
        for expr in ["0 6 * * *", "@every 1h"] {
            assert!(read(expr, "Mars/Olympus").contains("Europe/Berlin"), "{expr}");
        }
    }
}
