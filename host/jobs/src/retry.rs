//! When a failed job runs again.

use crate::failure::{Disposition, Failure};

/// Nothing waits longer than this between two attempts.
pub const DELAY_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// How the delay grows from attempt to attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// `base × 2^(attempt − 1)`, at most `cap`.
    Exponential {
        /// The first delay, in milliseconds.
        base_ms: u64,
        /// The longest delay, in milliseconds.
        cap_ms: u64,
    },
    /// The n-th delay of the list after attempt n; the last one repeats.
    Fixed {
        /// Delays in milliseconds; never empty.
        delays_ms: Vec<u64>,
    },
    /// Sidekiq's: `attempt⁴ + 15` seconds.
    Polynomial,
}

/// The retry policy of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts_max: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Whether a delay is spread over its upper half, so that a herd of retries disperses.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    /// Four attempts: after 5, 10 and 20 seconds, with jitter.
    fn default() -> Self {
        Self {
            attempts_max: 4,
            backoff: Backoff::Exponential { base_ms: 5_000, cap_ms: 600_000 },
            jitter: true,
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another attempt.
    After {
        /// Milliseconds from now.
        delay_ms: u64,
    },
    /// The dead letters.
    GiveUp,
    /// The plugin says the work is no longer wanted.
    Cancel,
}

/// Decides what follows `failure` of attempt number `attempt` (the first is 1). `roll` in
/// `0.0..1.0` is the dice of the jitter. A `retry_after_ms` of the other side is honoured, and is
/// never shortened by the policy.
#[must_use]
pub fn decide(policy: &RetryPolicy, failure: &Failure, attempt: u32, roll: f64) -> Next {
    match failure.disposition {
        Disposition::Fail => Next::GiveUp,
        Disposition::Cancel => Next::Cancel,
        Disposition::Retry if attempt >= policy.attempts_max => Next::GiveUp,
        Disposition::Retry => {
            let planned_ms = spread(policy, delay_ms(&policy.backoff, attempt), roll);
            let asked_ms = failure.retry_after_ms.unwrap_or(0);
            Next::After { delay_ms: planned_ms.max(asked_ms).min(DELAY_MS_MAX) }
        }
    }
}

/// The delay after attempt number `attempt`, before jitter. Overflow-safe at every extreme.
#[must_use]
pub fn delay_ms(backoff: &Backoff, attempt: u32) -> u64 {
    let earlier = attempt.saturating_sub(1);
    let delay_ms = match backoff {
        Backoff::Exponential { base_ms, cap_ms } => {
            let factor = 1_u64.checked_shl(earlier).unwrap_or(u64::MAX);
            base_ms.saturating_mul(factor).min(*cap_ms)
        }
        Backoff::Fixed { delays_ms } => {
            let index = usize::try_from(earlier).unwrap_or(usize::MAX);
            delays_ms.get(index).or(delays_ms.last()).copied().unwrap_or(0)
        }
        Backoff::Polynomial => {
            u64::from(attempt).saturating_pow(4).saturating_add(15).saturating_mul(1000)
        }
    };
    delay_ms.min(DELAY_MS_MAX)
}

fn spread(policy: &RetryPolicy, delay_ms: u64, roll: f64) -> u64 {
    if !policy.jitter {
        return delay_ms;
    }
    let half = delay_ms / 2;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a day in milliseconds fits an f64, and the roll is in 0.0..1.0"
    )]
    let extra = (half as f64 * roll.clamp(0.0, 1.0)) as u64;
    half + extra
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECONDS: Backoff = Backoff::Exponential { base_ms: 1_000, cap_ms: 60_000 };

    fn policy(backoff: Backoff) -> RetryPolicy {
        RetryPolicy { attempts_max: 10, backoff, jitter: false }
    }

    #[test]
    fn delays_follow_their_tables() {
        let fixed = Backoff::Fixed { delays_ms: vec![30_000, 60_000, 180_000] };
        let table: &[(&Backoff, [u64; 5])] = &[
            (&SECONDS, [1_000, 2_000, 4_000, 8_000, 16_000]),
            (&fixed, [30_000, 60_000, 180_000, 180_000, 180_000]),
            (&Backoff::Polynomial, [16_000, 31_000, 96_000, 271_000, 640_000]),
        ];
        for (backoff, expected) in table {
            let delays: Vec<_> = (1..=5).map(|attempt| delay_ms(backoff, attempt)).collect();
            assert_eq!(&delays, expected, "{backoff:?}");
        }
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        let failure = Failure::retry("unavailable", "down");
        let once = RetryPolicy { attempts_max: 1, ..policy(SECONDS) };
        assert_eq!(decide(&once, &failure, 1, 0.5), Next::GiveUp);
        assert_eq!(decide(&policy(SECONDS), &failure, 9, 0.5), Next::After { delay_ms: 60_000 });
        assert_eq!(decide(&policy(SECONDS), &failure, 10, 0.5), Next::GiveUp);
    }

    #[test]
    fn what_the_plugin_says_wins_over_the_policy() {
        let cancel = Failure { disposition: Disposition::Cancel, ..Failure::fatal("moot", "moot") };
        assert_eq!(
            decide(&policy(SECONDS), &Failure::fatal("invalid-input", "no"), 1, 0.5),
            Next::GiveUp
        );
        assert_eq!(decide(&policy(SECONDS), &cancel, 1, 0.5), Next::Cancel);
    }

    #[test]
    fn a_longer_wait_that_the_other_side_asked_for_is_honoured() {
        let later = |ms| Failure {
            retry_after_ms: Some(ms),
            ..Failure::retry("rate-limited", "slow down")
        };
        assert_eq!(
            decide(&policy(SECONDS), &later(90_000), 1, 0.0),
            Next::After { delay_ms: 90_000 }
        );
        assert_eq!(decide(&policy(SECONDS), &later(10), 1, 0.0), Next::After { delay_ms: 1_000 });
        assert_eq!(
            decide(&policy(SECONDS), &later(u64::MAX), 1, 0.0),
            Next::After { delay_ms: DELAY_MS_MAX }
        );
    }

    proptest! {
        #[test]
        fn no_extreme_overflows_and_jitter_stays_in_the_upper_half(
            base_ms in any::<u64>(), cap_ms in any::<u64>(), attempt in any::<u32>(), roll in 0.0..1.0_f64,
        ) {
            for backoff in [Backoff::Exponential { base_ms, cap_ms }, Backoff::Fixed { delays_ms: vec![base_ms] }, Backoff::Polynomial] {
                let plain = delay_ms(&backoff, attempt);
                let policy = RetryPolicy { attempts_max: u32::MAX, backoff, jitter: true };
                let failure = Failure::retry("failed", "x");
                if let Next::After { delay_ms } = decide(&policy, &failure, attempt, roll) {
                    prop_assert!(delay_ms >= plain / 2 && delay_ms <= plain);
                }
            }
        }
    }
}
