//! Time and dice, as arguments.

use std::{fmt, str::FromStr};

/// An instant: milliseconds since the Unix epoch, UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// This instant plus `ms` milliseconds; it stops at the end of time instead of overflowing.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// This instant minus `ms` milliseconds; it stops at the beginning of time.
    #[must_use]
    pub fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Milliseconds from `earlier` to this instant, or 0 when `earlier` is not earlier.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// RFC 3339 in UTC, with milliseconds. An instant outside the years -9999 to 9999 prints its number.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// A text that is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instant is RFC 3339, such as 2027-01-31T06:00:00Z")]
pub struct NotAnInstant;

impl FromStr for Millis {
    type Err = NotAnInstant;

    fn from_str(text: &str) -> Result<Self, NotAnInstant> {
        let at: jiff::Timestamp = text.parse().map_err(|_| NotAnInstant)?;
        Ok(Self(at.as_millisecond()))
    }
}

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Millis;
}

/// The dice: identifiers and jitter.
pub trait Entropy: Send + Sync {
    /// 128 random bits, of which a ULID uses 80.
    fn roll(&self) -> u128;

    /// A number in `0.0..1.0`, for jitter.
    fn fraction(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let fraction = (self.roll() >> 75) as f64 / (1_u64 << 53) as f64;
        fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u128);
    impl Entropy for Fixed {
        fn roll(&self) -> u128 {
            self.0
        }
    }

    #[test]
    fn an_instant_prints_as_rfc_3339_with_milliseconds() {
        assert_eq!(Millis(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!("2023-11-14T23:13:20.123+01:00".parse(), Ok(Millis(1_700_000_000_123)));
        assert_eq!("2023-11-14".parse::<Millis>(), Err(NotAnInstant));
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        assert_eq!(Millis(i64::MAX - 1).plus_ms(u64::MAX), Millis(i64::MAX));
        assert_eq!(Millis(i64::MIN + 1).minus_ms(u64::MAX), Millis(i64::MIN));
        assert_eq!(Millis(i64::MIN).since_ms(Millis(i64::MAX)), 0);
    }

    #[test]
    fn a_fraction_stays_below_one() {
        assert!(Fixed(u128::MAX).fraction() < 1.0);
        assert!(Fixed(0).fraction().abs() < f64::EPSILON);
    }
}
