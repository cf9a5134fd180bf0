//! What a guest computes, in CPU time of the thread it computes on. Waiting for the host does not
//! count, and neither does a busy machine.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::CallHook;

/// No guest code runs.
const PAUSED: u64 = u64::MAX;

/// A meter that runs while guest code does. Between [`CpuMeter::start`] and [`CpuMeter::pause`] lies no
/// await, so both happen on one thread and its clock serves.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    used_ns: AtomicU64,
    since_ns: AtomicU64,
}

impl CpuMeter {
    pub(crate) fn new() -> Self {
        Self { used_ns: AtomicU64::new(0), since_ns: AtomicU64::new(PAUSED) }
    }

    /// Follows the guest into and out of its code.
    pub(crate) fn follow(&self, hook: CallHook) {
        if hook.exiting_host() { self.start() } else { self.pause() }
    }

    pub(crate) fn start(&self) {
        self.since_ns.store(thread_ns(), Ordering::Relaxed);
    }

    pub(crate) fn pause(&self) {
        let since_ns = self.since_ns.swap(PAUSED, Ordering::Relaxed);
        if since_ns != PAUSED {
            self.used_ns.fetch_add(thread_ns().saturating_sub(since_ns), Ordering::Relaxed);
        }
    }

    /// Used up to the last pause.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed))
    }
}

fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute(until: Duration, meter: &CpuMeter) {
        loop {
            for n in 0..10_000_u64 {
                std::hint::black_box(n);
            }
            meter.pause();
            if meter.used() >= until {
                return;
            }
            meter.start();
        }
    }

    #[test]
    fn a_meter_counts_the_guest_and_not_the_host() {
        let meter = CpuMeter::new();
        meter.follow(CallHook::CallingWasm);
        compute(Duration::from_millis(5), &meter);
        let used = meter.used();
        let host = CpuMeter::new();
        host.start();
        compute(Duration::from_millis(5), &host);
        assert_eq!(meter.used(), used);
        meter.follow(CallHook::ReturningFromWasm);
        assert_eq!(meter.used(), used);
    }
}
