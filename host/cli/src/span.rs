//! Lengths of time, short enough for a table.

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Two figures at most: `340ms`, `3.2s`, `4m12s`, `3h07m`, `2d04h`.
pub(crate) fn span(ms: u64) -> String {
    if ms < SECOND_MS {
        format!("{ms}ms")
    } else if ms < MINUTE_MS {
        format!("{}.{}s", ms / SECOND_MS, ms % SECOND_MS / 100)
    } else if ms < HOUR_MS {
        format!("{}m{:02}s", ms / MINUTE_MS, ms % MINUTE_MS / SECOND_MS)
    } else if ms < DAY_MS {
        format!("{}h{:02}m", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS)
    } else {
        format!("{}d{:02}h", ms / DAY_MS, ms % DAY_MS / HOUR_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_shows_its_two_largest_figures() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1000, "1.0s"),
            (59_999, "59.9s"),
            (60_000, "1m00s"),
            (252_000, "4m12s"),
            (3_599_999, "59m59s"),
            (11_220_000, "3h07m"),
            (187_200_000, "2d04h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
