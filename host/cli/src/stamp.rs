//! Instants as parts of file names.

use jiff::Timestamp;
use roughneck_jobs::clock::Millis;

/// An instant in UTC, in characters that every file system takes: `20261124T101500Z`.
pub(crate) fn stamp(at: Millis) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(at) => at.strftime("%Y%m%dT%H%M%SZ").to_string(),
        // No clock shows such a year.
        Err(_) => at.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_sorts_by_time_and_has_no_colons() {
        assert_eq!(stamp(Millis(1_700_000_000_123)), "20231114T221320Z");
        assert_eq!(stamp(Millis(i64::MAX)), i64::MAX.to_string());
    }
}
