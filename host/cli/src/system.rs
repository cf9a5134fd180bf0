//! The real clock and the real dice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roughneck_jobs::clock::{Clock, Entropy, Millis};

/// The machine's clock and random source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Clock for System {
    fn now(&self) -> Millis {
        Millis(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
    }
}

/// Microseconds since the Unix epoch, for measuring what takes less than a [`Millis`].
pub(crate) fn unix_us() -> u128 {
    since_epoch().as_micros()
}

fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are given")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Entropy for System {
    fn roll(&self) -> u128 {
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            // An id that is not random could repeat another one: nothing is safer than to end here.
            tracing::error!(%error, "the machine's random source does not answer");
            std::process::abort();
        }
        u128::from_le_bytes(bytes)
    }
}
