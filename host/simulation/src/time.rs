//! The clock and the dice of all lives. They go on where the last host stopped.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use roughneck_jobs::clock::{Clock, Entropy, Millis};
use tokio::time::Instant;

use crate::Dice;

/// Wall clock and dice. In a life the clock follows tokio's paused one.
#[derive(Debug)]
pub struct Time {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the wall clock showed when this life began, plus its jumps since.
    base: Millis,
    /// When this life began; none between two.
    since: Option<Instant>,
    dice: Dice,
}

impl Time {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = Dice::of(&[seed, 1]);
        Self { state: Mutex::new(State { base: Millis(1_800_000_000_000), since: None, dice }) }
    }

    /// A life begins, in the runtime of the caller.
    pub(crate) fn begin(&self) {
        self.state().since = Some(Instant::now());
    }

    /// It has ended, and the next begins so much later.
    pub(crate) fn end(&self, down_ms: u64) {
        let now = self.now();
        let mut state = self.state();
        (state.base, state.since) = (now.plus_ms(down_ms), None);
    }

    /// Sets the wall clock forward. Monotonic time stands still, as in a machine that sleeps.
    pub(crate) fn jump(&self, ms: u64) {
        let mut state = self.state();
        state.base = state.base.plus_ms(ms);
    }

    /// Sets the wall clock back.
    pub(crate) fn set_back(&self, ms: u64) {
        let mut state = self.state();
        state.base = state.base.minus_ms(ms);
    }

    /// Lets so much time pass.
    pub(crate) async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Lets so much time pass during which nothing runs, as in a host that is frozen.
    pub(crate) async fn freeze(&self, ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Time {
    fn now(&self) -> Millis {
        let state = self.state();
        let passed = state.since.map_or(Duration::ZERO, |since| since.elapsed());
        state.base.plus_ms(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Entropy for Time {
    fn roll(&self) -> u128 {
        let mut state = self.state();
        (u128::from(state.dice.roll()) << 64) | u128::from(state.dice.roll())
    }
}

/// While this is held the paused clock stands still although everybody waits: somebody outside tokio
/// works. Tokio itself does so for its blocking threads, so one of them waits along.
#[derive(Debug)]
pub(crate) struct Standstill {
    _end: mpsc::Sender<()>,
}

impl Standstill {
    pub(crate) fn begin() -> Self {
        let (end, ended) = mpsc::channel::<()>();
        // It ends with an error, when the other end is dropped.
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        Self { _end: end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_for_a_thread_outside_and_goes_on_afterwards() {
        let time = Time::new(1);
        time.begin();
        let before = time.now();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let standstill = Standstill::begin();
        let (go, gone) = mpsc::channel();
        std::thread::spawn(move || answer.send(gone.recv().is_ok()));
        let waits = tokio::time::timeout(Duration::from_secs(60), answered);
        go.send(()).unwrap();
        assert_eq!(waits.await, Ok(Ok(true)));
        assert_eq!(time.now(), before);
        drop(standstill);
        time.pass(60_000).await;
        time.end(5_000);
        assert_eq!(time.now().since_ms(before), 65_000);
    }
}
