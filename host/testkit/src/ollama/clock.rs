//! Time, as the simulator spends and reports it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::faults::Faults;

/// Whether simulated work takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Loading, reading the prompt and every token take the configured time.
    Real,
    /// Nothing waits, yet the statistics report what the work would have taken, and nothing else: a test gets the
    /// same exact figures on any machine, at once.
    Skipped,
}

/// The wall clock, for `created_at` and `expires_at`. This simulator is itself the world that the host looks at, so it
/// asks the machine; nothing here decides anything by it.
pub(super) fn wall_now() -> Timestamp {
    Timestamp::now()
}

/// The clock of one request: it spends time, or pretends to, and measures.
#[derive(Debug)]
pub(super) struct Stopwatch {
    pace: Pace,
    faults: Faults,
    started: Instant,
    /// What [`Pace::Skipped`] did not wait for.
    skipped: Duration,
    /// Up to where time has been spent. Sleeping until a point, not for a span, keeps the token rate exact although
    /// each timer fires a little late.
    cursor: Instant,
}

impl Stopwatch {
    /// Starts at the entry of the handler, as Ollama does.
    pub(super) fn start(pace: Pace, faults: Faults) -> Self {
        let started = Instant::now();
        Self { pace, faults, started, skipped: Duration::ZERO, cursor: started }
    }

    /// How long the request has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        match self.pace {
            Pace::Real => self.started.elapsed(),
            Pace::Skipped => self.skipped,
        }
    }

    /// Begins a phase of work: what is spent from now on counts from now on.
    pub(super) fn begin_phase(&mut self) {
        self.cursor = Instant::now();
    }

    /// Spends `work`, stretched by the slowdown that is switched on at the moment.
    pub(super) async fn spend(&mut self, work: Duration) {
        let work = work.mul_f64(self.faults.slowdown());
        if work.is_zero() {
            return;
        }
        match self.pace {
            Pace::Real => {
                self.cursor += work;
                sleep_until(self.cursor).await;
            }
            Pace::Skipped => self.skipped += work,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_slowest_of_machines_can_be_waited_for() {
        let faults = Faults::default();
        for pace in [Pace::Skipped, Pace::Real] {
            faults.slow(f64::MAX);
            let mut watch = Stopwatch::start(pace, faults.clone());
            let work = watch.spend(Duration::from_secs(3600));
            assert_eq!(
                tokio::time::timeout(Duration::ZERO, work).await.is_ok(),
                pace == Pace::Skipped
            );
        }
    }
}
