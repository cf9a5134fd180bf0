//! The day that a budget is for.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use crate::clock::Millis;

/// A calendar day in the operator's time zone, with the instants between which it lies: 23 or 25 hours
/// where clocks are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// As `2026-11-29`: such texts sort as the days do.
    pub date: String,
    /// Its first instant.
    pub begins_at: Millis,
    /// The first instant of the next one.
    pub ends_at: Millis,
}

impl Day {
    /// The day in which `now` lies.
    #[must_use]
    pub fn of(now: Millis, zone: &TimeZone) -> Self {
        let date =
            Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(zone.clone()).date();
        let begin = |date: Date| {
            let zoned = date.to_zoned(zone.clone());
            Millis(zoned.map_or(now.0, |begin| begin.timestamp().as_millisecond()))
        };
        let next = date.tomorrow().unwrap_or(date);
        Self { date: date.to_string(), begins_at: begin(date), ends_at: begin(next) }
    }

    /// The date of the day so many days before it.
    #[must_use]
    pub fn date_before(&self, days: u16) -> String {
        let date: Date = self.date.parse().unwrap_or_default();
        date.checked_sub(i64::from(days).days()).unwrap_or(date).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_day_begins_and_ends_at_midnight_of_its_zone_also_when_clocks_are_changed() {
        for (zone, now, date, begins, ends) in [
            (
                "UTC",
                "2026-11-29T10:46:30Z",
                "2026-11-29",
                "2026-11-29T00:00:00Z",
                "2026-11-30T00:00:00Z",
            ),
            (
                "UTC",
                "2026-11-30T00:00:00Z",
                "2026-11-30",
                "2026-11-30T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-11-29T23:30:00Z",
                "2026-11-30",
                "2026-11-29T23:00:00Z",
                "2026-11-30T23:00:00Z",
            ),
            // 23 and 25 hours.
            (
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-29",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-25",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // A day that has no midnight.
            (
                "America/Sao_Paulo",
                "2018-11-04T12:00:00Z",
                "2018-11-04",
                "2018-11-04T03:00:00Z",
                "2018-11-05T02:00:00Z",
            ),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let day = Day::of(at(now), &zone);
            let expected = Day { date: date.to_owned(), begins_at: at(begins), ends_at: at(ends) };
            assert_eq!(day, expected, "{now}");
        }
    }

    #[test]
    fn earlier_days_are_counted_by_the_calendar() {
        let day = Day::of(at("2026-03-01T00:00:00Z"), &TimeZone::UTC);
        assert_eq!(
            (day.date_before(1).as_str(), day.date_before(30).as_str()),
            ("2026-02-28", "2026-01-30")
        );
    }
}
