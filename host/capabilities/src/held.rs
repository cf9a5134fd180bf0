//! Bytes a guest makes the host hold in requests that were not sent yet, or not answered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::HostError;

/// All requests of one run together.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The bytes one run makes the host hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<AtomicUsize>);

/// The share of one request. It is given back when the request is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pool: Pool,
    bytes: usize,
    bytes_max: usize,
}

impl Pool {
    /// The share of a new request, which may hold up to `bytes_max`.
    pub(crate) fn request(&self, bytes_max: usize) -> Held {
        Held { pool: self.clone(), bytes: 0, bytes_max }
    }
}

impl Held {
    /// Takes `bytes` more.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), HostError> {
        self.exchange(0, bytes)
    }

    /// Takes `bytes` in the place of `former` ones, which it holds.
    pub(crate) fn exchange(&mut self, former: usize, bytes: usize) -> Result<(), HostError> {
        let too_large = |bytes_max: usize, what: &str| {
            HostError::fatal(
                "request-too-large",
                format!("{what} may hold at most {bytes_max} bytes; send less at once"),
            )
        };
        let total = self.bytes.saturating_sub(former).saturating_add(bytes);
        if total > self.bytes_max {
            return Err(too_large(self.bytes_max, "one request"));
        }
        let fits = |held: usize| {
            let sum = held.saturating_sub(former).saturating_add(bytes);
            (sum <= HELD_BYTES_MAX).then_some(sum)
        };
        self.pool
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|_| too_large(HELD_BYTES_MAX, "the requests of a run"))?;
        self.bytes = total;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.pool.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_and_all_of_them_together_are_bounded_and_give_back_what_they_held() {
        let pool = Pool::default();
        let mut small = pool.request(10);
        assert_eq!(small.take(10), Ok(()));
        assert_eq!(small.take(1).unwrap_err().code, "request-too-large");
        let mut large = pool.request(usize::MAX);
        assert!(large.take(HELD_BYTES_MAX).unwrap_err().message.contains("the requests of a run"));
        drop(small);
        assert_eq!(large.take(HELD_BYTES_MAX), Ok(()));
        assert!(pool.request(1).take(1).is_err());
        drop(large);
        assert_eq!(pool.request(1).take(1), Ok(()));
    }

    #[test]
    fn what_takes_the_place_of_something_else_counts_alone() {
        let pool = Pool::default();
        let mut held = pool.request(10);
        held.take(3).unwrap();
        held.take(6).unwrap();
        assert_eq!(held.exchange(6, 7), Ok(()));
        assert!(held.exchange(7, 8).is_err());
        drop(held);
        assert_eq!(pool.request(usize::MAX).take(HELD_BYTES_MAX), Ok(()), "all was given back");
    }
}
