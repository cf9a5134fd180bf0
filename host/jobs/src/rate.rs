//! Rate limits: a token bucket as one number, the instant at which the bucket is full again.
//!
//! That is the generic cell rate algorithm: nothing has to be refilled while nothing happens, and the
//! one number survives a crash in one row.

use crate::clock::Millis;

/// Microseconds of a millisecond: buckets are finer than the clock, so that odd rates do not drift.
const US: i64 = 1_000;

/// How many jobs of a kind may begin in a while; as many may begin at once after a pause of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u32,
    /// In how many milliseconds; at least 1.
    pub per_ms: u64,
}

/// The bucket of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its limit.
    pub rate: Rate,
    /// Microseconds since the Unix epoch at which it is full again.
    pub full_at_us: i64,
}

impl Bucket {
    /// How many jobs may begin at `at`.
    #[must_use]
    pub fn allows(&self, at: Millis) -> u32 {
        let missing_us = self.full_at_us.saturating_sub(us(at)).max(0);
        let left_us = self.window_us().saturating_sub(missing_us);
        u32::try_from(left_us / self.interval_us()).unwrap_or(0).min(self.rate.count)
    }

    /// When the next one may begin, if none may at `at`. A bucket that is further from full than it can
    /// be, because the clock was set back, is taken to be empty.
    #[must_use]
    pub fn next_at(&self, at: Millis) -> Option<Millis> {
        if self.allows(at) > 0 {
            return None;
        }
        let next_us = self.full_at_us - self.window_us() + self.interval_us();
        let next_us = next_us.min(us(at).saturating_add(self.interval_us()));
        Some(Millis(next_us.div_euclid(US) + i64::from(next_us.rem_euclid(US) > 0)))
    }

    /// The bucket after `jobs` began at `at`.
    #[must_use]
    pub fn after(self, jobs: u32, at: Millis) -> Self {
        let now = us(at);
        let full_at_us = self.full_at_us.clamp(now, now.saturating_add(self.window_us()));
        let taken_us = self.interval_us().saturating_mul(i64::from(jobs));
        Self { full_at_us: full_at_us.saturating_add(taken_us), ..self }
    }

    fn window_us(&self) -> i64 {
        i64::try_from(self.rate.per_ms).unwrap_or(i64::MAX / US).saturating_mul(US)
    }

    fn interval_us(&self) -> i64 {
        (self.window_us() / i64::from(self.rate.count.max(1))).max(1)
    }
}

fn us(at: Millis) -> i64 {
    at.0.saturating_mul(US)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(count: u32, per_ms: u64) -> Bucket {
        Bucket { rate: Rate { count, per_ms }, full_at_us: 0 }
    }

    #[test]
    fn a_full_bucket_gives_all_at_once_and_then_one_after_each_interval() {
        let bucket = full(3, 60_000);
        let now = Millis(1_000_000);
        assert_eq!((bucket.allows(now), bucket.next_at(now)), (3, None));
        let empty = bucket.after(3, now);
        assert_eq!((empty.allows(now), empty.next_at(now)), (0, Some(now.plus_ms(20_000))));
        assert_eq!(empty.allows(now.plus_ms(19_999)), 0);
        assert_eq!(empty.allows(now.plus_ms(20_000)), 1);
        assert_eq!(empty.allows(now.plus_ms(600_000)), 3);
    }

    #[test]
    fn a_clock_that_is_set_back_closes_a_bucket_for_one_interval_at_most() {
        let later = Millis(10_000_000);
        let bucket = full(2, 1_000).after(2, later);
        let now = later.minus_ms(3_600_000);
        let next_at = bucket.next_at(now).unwrap();
        assert_eq!(next_at, now.plus_ms(500));
        // A look at that instant finds it closed again, until something begins.
        assert_eq!(bucket.after(0, now).next_at(now), Some(now.plus_ms(500)));
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_twice_its_limit(
            count in 1..50_u32, per_ms in 1..100_000_u64, steps in prop::collection::vec((0..5_000_u64, 0..60_u32), 1..200),
        ) {
            let (mut bucket, mut now) = (full(count, per_ms), Millis(1_000_000_000));
            let mut begun: Vec<Millis> = Vec::new();
            for (pause_ms, wanted) in steps {
                now = now.plus_ms(pause_ms);
                let jobs = bucket.allows(now).min(wanted);
                bucket = bucket.after(jobs, now);
                begun.extend((0..jobs).map(|_| now));
                let in_window = begun.iter().filter(|at| now.since_ms(**at) < per_ms).count();
                prop_assert!(in_window <= 2 * count as usize);
            }
        }

        #[test]
        fn extremes_do_not_overflow(count in any::<u32>(), per_ms in any::<u64>(), full_at_us in any::<i64>(), now in any::<i64>(), jobs in any::<u32>()) {
            let bucket = Bucket { rate: Rate { count, per_ms }, full_at_us };
            let _ = (bucket.allows(Millis(now)), bucket.next_at(Millis(now)), bucket.after(jobs, Millis(now)));
        }
    }
}
