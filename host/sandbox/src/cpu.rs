//! What a run computes, in CPU time of the threads it computes on: the guest's own code and what the
//! host does on its behalf while it is called. Waiting does not count, and neither does a busy machine.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// Nothing is computed.
const PAUSED: u64 = u64::MAX;

/// A meter that runs while its future is polled. A poll begins and ends on one thread, so that this
/// thread's clock serves.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    used_ns: AtomicU64,
    since_ns: AtomicU64,
}

impl CpuMeter {
    pub(crate) fn new() -> Self {
        Self { used_ns: AtomicU64::new(0), since_ns: AtomicU64::new(PAUSED) }
    }

    /// Used so far. While it runs, only the thread that is being measured may ask.
    pub(crate) fn used(&self) -> Duration {
        let since_ns = self.since_ns.load(Ordering::Relaxed);
        let running_ns = if since_ns == PAUSED { 0 } else { thread_ns().saturating_sub(since_ns) };
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed).saturating_add(running_ns))
    }

    fn start(&self) {
        self.since_ns.store(thread_ns(), Ordering::Relaxed);
    }

    fn pause(&self) {
        let used_ns = u64::try_from(self.used().as_nanos()).unwrap_or(u64::MAX);
        self.since_ns.store(PAUSED, Ordering::Relaxed);
        self.used_ns.store(used_ns, Ordering::Relaxed);
    }
}

/// A future whose polls are measured.
pub(crate) struct Metered<F> {
    pub(crate) cpu: Arc<CpuMeter>,
    pub(crate) future: Pin<Box<F>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.cpu.start();
        let polled = self.future.as_mut().poll(context);
        self.cpu.pause();
        polled
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

    const WORK: Duration = Duration::from_millis(5);

    /// Keeps the thread busy for this much of its CPU time.
    fn compute() {
        let meter = CpuMeter::new();
        meter.start();
        while meter.used() < WORK {
            std::hint::black_box(0_u64..10_000).for_each(|n| _ = std::hint::black_box(n));
        }
    }

    #[tokio::test]
    async fn every_poll_counts_and_what_happens_between_them_does_not() {
        let cpu = Arc::new(CpuMeter::new());
        let reading = Arc::clone(&cpu);
        let measured = async move {
            compute();
            assert!(reading.used() >= WORK, "what runs is not counted yet");
            tokio::task::yield_now().await;
            compute();
        };
        let between = async {
            let used = cpu.used();
            compute();
            assert_eq!(cpu.used(), used);
        };
        tokio::join!(Metered { cpu: Arc::clone(&cpu), future: Box::pin(measured) }, between);
        assert!(cpu.used() >= WORK * 2);
    }
}
