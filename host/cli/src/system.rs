//! The real clock and the real dice.

use std::time::{SystemTime, UNIX_EPOCH};

use roughneck_jobs::clock::{Clock, Entropy, Millis};

/// The machine's clock and random source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Clock for System {
    fn now(&self) -> Millis {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that others are given")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Millis(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
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
