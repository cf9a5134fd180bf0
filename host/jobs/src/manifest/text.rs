//! Durations and sizes as people write them: `10m`, `64MiB`.

use bytesize::ByteSize;
use jiff::SignedDuration;

/// A text that is no duration or no size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAQuantity {
    /// Not a duration, or a negative one.
    #[error("`{0}` is not a duration; write it like `30s`, `10m`, `1h 30m` or `7d`")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is not a size; write it like `64KiB` or `128MiB`")]
    Size(String),
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds of a duration such as `10m`, or of whole days such as `7d`.
///
/// # Errors
/// [`NotAQuantity::Duration`].
pub fn duration_ms(text: &str) -> Result<u64, NotAQuantity> {
    // To the library a day is a matter of the calendar; here it has 24 hours.
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
        return Ok(days.saturating_mul(DAY_MS));
    }
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| u64::try_from(duration.as_millis()).ok())
        .ok_or_else(|| NotAQuantity::Duration(text.to_owned()))
}

/// Bytes of a size such as `64MiB`.
///
/// # Errors
/// [`NotAQuantity::Size`].
pub fn size_bytes(text: &str) -> Result<u64, NotAQuantity> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| NotAQuantity::Size(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_people_write_them() {
        assert_eq!(duration_ms("10m"), Ok(600_000));
        assert_eq!(duration_ms("1h 30m"), Ok(5_400_000));
        assert_eq!(duration_ms("250ms"), Ok(250));
        assert_eq!(duration_ms("7d"), Ok(7 * DAY_MS));
        assert_eq!(size_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(size_bytes("1KiB"), Ok(1024));
        assert!(duration_ms("-5s").is_err());
        assert!(duration_ms("soon").unwrap_err().to_string().contains("`30s`"));
        assert!(size_bytes("big").unwrap_err().to_string().contains("128MiB"));
    }
}
