//! Priority with aging, as one number that never changes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock::Millis;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// How much sooner than its equals a job should run: 0, which fills the night, to 100, for which
/// somebody is blocked. Five levels have names; a number stands between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

/// A level that has a name.
struct Named {
    name: &'static str,
    priority: Priority,
    /// How long a job of level 0 must have waited to run before a new one of this level.
    head_start_ms: u64,
}

/// The named levels, the lowest first. Equal steps of the number, but not of the head start: the lower
/// half is for work that may wait for hours.
const NAMED: [Named; 5] = [
    Named { name: "bulk", priority: Priority::BULK, head_start_ms: 0 },
    Named { name: "low", priority: Priority::LOW, head_start_ms: 5 * HOUR_MS },
    Named {
        name: "normal",
        priority: Priority::NORMAL,
        head_start_ms: 6 * HOUR_MS - 10 * MINUTE_MS,
    },
    Named { name: "high", priority: Priority::HIGH, head_start_ms: 6 * HOUR_MS - MINUTE_MS },
    Named { name: "urgent", priority: Priority::URGENT, head_start_ms: 6 * HOUR_MS },
];

/// What can be written.
const CHOICES: &str =
    "urgent, high, normal, low or bulk, or a number from 0 (bulk) to 100 (urgent)";

/// Something that is no priority.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a priority: use {CHOICES}")]
pub struct NotAPriority(String);

impl Priority {
    /// Fills the night.
    pub const BULK: Self = Self(0);
    /// Whenever there is room.
    pub const LOW: Self = Self(25);
    /// Background work.
    pub const NORMAL: Self = Self(50);
    /// Somebody is waiting.
    pub const HIGH: Self = Self(75);
    /// Somebody is blocked.
    pub const URGENT: Self = Self(100);

    /// The priority of this number.
    ///
    /// # Errors
    /// [`NotAPriority`] above 100.
    pub fn new(level: u64) -> Result<Self, NotAPriority> {
        let small = u8::try_from(level).ok().filter(|level| *level <= Self::URGENT.0);
        small.map(Self).ok_or_else(|| NotAPriority(level.to_string()))
    }

    /// The number in the store.
    #[must_use]
    pub fn level(self) -> u8 {
        self.0
    }

    /// How long a job of level 0 must have waited to run before a new one of this priority. Between two
    /// names it grows evenly.
    fn head_start_ms(self) -> u64 {
        let (mut below, mut head_start_ms) = (Self::BULK, 0);
        for named in NAMED {
            if self <= named.priority {
                let (step, steps) = (self.0 - below.0, (named.priority.0 - below.0).max(1));
                let rise_ms = named.head_start_ms - head_start_ms;
                return head_start_ms + rise_ms * u64::from(step) / u64::from(steps);
            }
            (below, head_start_ms) = (named.priority, named.head_start_ms);
        }
        head_start_ms
    }

    /// The rank of a job that may run at `run_at`: lower runs first. It is computed once, at the
    /// submission; retry, also on request, and loss keep it, so waiting counts for ever and nothing starves.
    #[must_use]
    pub fn rank(self, run_at: Millis) -> Millis {
        run_at.minus_ms(self.head_start_ms())
    }

    /// The names of the levels that have one, the lowest first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|named| named.name)
    }

    /// The name of the nearest level that has one, for where a hundred levels would be too many.
    #[must_use]
    pub fn nearest_name(self) -> &'static str {
        let nearest = NAMED.iter().min_by_key(|named| named.priority.0.abs_diff(self.0));
        nearest.map_or("normal", |named| named.name)
    }

    fn name(self) -> Option<&'static str> {
        NAMED.iter().find(|named| named.priority == self).map(|named| named.name)
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// The name, or the number of a level without one.
impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Priority {
    type Err = NotAPriority;

    fn from_str(text: &str) -> Result<Self, NotAPriority> {
        let named = NAMED.iter().find(|named| named.name == text).map(|named| named.priority);
        let number = || Self::new(text.parse().ok()?).ok();
        named.or_else(number).ok_or_else(|| NotAPriority(text.chars().take(64).collect()))
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_u8(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsWritten)
    }
}

/// A name or a number.
struct AsWritten;

impl de::Visitor<'_> for AsWritten {
    type Value = Priority;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a priority: {CHOICES}")
    }

    fn visit_u64<E: de::Error>(self, level: u64) -> Result<Priority, E> {
        Priority::new(level).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, level: i64) -> Result<Priority, E> {
        let level = u64::try_from(level).map_err(|_| NotAPriority(level.to_string()));
        level.and_then(Priority::new).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, level: f64) -> Result<Priority, E> {
        Err(E::custom(NotAPriority(level.to_string())))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Priority, E> {
        name.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_more_urgent_job_of_the_same_moment_runs_first() {
        let ranks: Vec<_> =
            (0..=100).map(|level| Priority::new(level).unwrap().rank(Millis(0))).collect();
        assert!(ranks.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn a_number_stands_between_the_names_beside_it() {
        let table = [(0, 0), (5, 60), (25, 300), (50, 350), (60, 353), (75, 359), (100, 360)];
        for (level, minutes) in table {
            let head_start_ms = Priority::new(level).unwrap().head_start_ms();
            assert_eq!(head_start_ms / MINUTE_MS, minutes, "{level}");
        }
    }

    #[test]
    fn a_low_job_that_waited_an_hour_runs_before_a_new_urgent_one() {
        let old_low = Priority::LOW.rank(Millis(0));
        let new_urgent = Priority::URGENT.rank(Millis(HOUR_MS as i64 + 1));
        assert!(old_low < new_urgent);
    }

    #[test]
    fn a_number_has_a_nearest_name() {
        let table = [(0, "bulk"), (12, "bulk"), (13, "low"), (60, "normal"), (99, "urgent")];
        for (level, name) in table {
            assert_eq!(Priority::new(level).unwrap().nearest_name(), name, "{level}");
        }
        assert!(Priority::names().eq(["bulk", "low", "normal", "high", "urgent"]));
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Priority::URGENT.rank(Millis(i64::MIN)), Millis(i64::MIN));
    }

    #[test]
    fn what_is_written_reads_back_and_other_things_are_refused_with_the_choices() {
        for level in 0..=100 {
            let priority = Priority::new(level).unwrap();
            assert_eq!(priority.to_string().parse(), Ok(priority));
            let json = serde_json::to_string(&priority).unwrap();
            assert_eq!(serde_json::from_str::<Priority>(&json).unwrap(), priority);
        }
        assert_eq!(serde_json::to_string(&Priority::HIGH).unwrap(), "\"high\"");
        assert_eq!(serde_json::to_string(&Priority::new(60).unwrap()).unwrap(), "60");
        assert_eq!("25".parse(), Ok(Priority::LOW));
        for wrong in ["\"asap\"", "101", "-1", "1.5", "[]", "\"101\"", "null", "true"] {
            let error = serde_json::from_str::<Priority>(wrong).unwrap_err().to_string();
            assert!(error.contains("urgent, high, normal, low or bulk, or a number"), "{error}");
            assert!(error.contains(wrong.trim_matches(['"', '[', ']'])), "{error}");
        }
    }
}
