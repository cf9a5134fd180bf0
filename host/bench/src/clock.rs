//! The wall clock and the dice, which the bench shares with the processes it measures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use roughneck_jobs::clock::{Clock, Entropy, Millis};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Clock for System {
    fn now(&self) -> Millis {
        Millis(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
    }
}

impl Entropy for System {
    fn roll(&self) -> u128 {
        let mut bytes = [0; 16];
        // Dice that fail would only make two ids alike, and nothing here keeps them.
        let _ = getrandom::fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> i64 {
    i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX)
}

fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the clock of the bench")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Waits until `condition` holds.
///
/// # Errors
/// What the condition failed with, or that it still does not hold after `limit`.
pub(crate) async fn wait_until(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let end = tokio::time::Instant::now() + limit;
    while !condition().await? {
        if tokio::time::Instant::now() > end {
            bail!("{what}: still not so after {} s", limit.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
