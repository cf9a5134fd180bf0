//! How a service waits between two looks at the store.

use std::time::Duration;

use roughneck_jobs::clock::Millis;

/// Nothing waits longer before it looks again: a missed notification costs at most this.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A service whose look failed waits this long.
pub(crate) const AFTER_ERROR: Duration = Duration::from_secs(1);

/// The wait until `next_at`, at most [`LOOK_AGAIN`], so that a step of the wall clock heals itself.
pub(crate) fn until(next_at: Option<Millis>, now: Millis) -> Duration {
    match next_at {
        None => LOOK_AGAIN,
        Some(at) => Duration::from_millis(at.since_ms(now)).min(LOOK_AGAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_the_next_due_time_or_after_half_a_minute() {
        let table = [
            (None, LOOK_AGAIN),
            (Some(Millis(1_500)), Duration::from_millis(500)),
            (Some(Millis(0)), Duration::ZERO),
            (Some(Millis(i64::MAX)), LOOK_AGAIN),
        ];
        for (next_at, expected) in table {
            assert_eq!(until(next_at, Millis(1_000)), expected);
        }
    }
}
