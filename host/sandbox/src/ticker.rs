//! The pulse that interrupts guests. It beats only while one runs: an idle host costs nothing.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A guest is interrupted, and its limits are looked at, this often.
const BEAT: Duration = Duration::from_millis(10);

#[derive(Default)]
struct State {
    running: usize,
    stopped: bool,
}

struct Pulse {
    state: Mutex<State>,
    changed: Condvar,
}

impl Pulse {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that advances the engine's epoch. Dropping it waits for the thread's end.
pub(crate) struct Ticker {
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

/// A guest runs for as long as this lives.
pub(crate) struct Running(Arc<Pulse>);

impl Ticker {
    /// Calls `tick` at each beat.
    pub(crate) fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let pulse = Arc::new(Pulse { state: Mutex::default(), changed: Condvar::new() });
        let beating = Arc::clone(&pulse);
        let thread = std::thread::Builder::new()
            .name("roughneck-epoch".to_owned())
            .spawn(move || beat(tick, &beating))?;
        Ok(Self { pulse, thread: Some(thread) })
    }

    /// Keeps the pulse beating while a guest runs.
    pub(crate) fn running(&self) -> Running {
        let mut state = self.pulse.state();
        state.running += 1;
        if state.running == 1 {
            self.pulse.changed.notify_one();
        }
        drop(state);
        Running(Arc::clone(&self.pulse))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pulse.state().stopped = true;
        self.pulse.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot panic; and if it did, there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// The next beat is an instant, not a wait: a wait that every start of a guest restarted would never
/// end on a busy host, and no guest would ever be interrupted.
fn beat(tick: impl Fn(), pulse: &Pulse) {
    let mut state = pulse.state();
    let mut next = Instant::now() + BEAT;
    while !state.stopped {
        if state.running == 0 {
            state = pulse.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            next = Instant::now() + BEAT;
            continue;
        }
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            tick();
            next = Instant::now() + BEAT;
        } else {
            let waited = pulse.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn it_beats_while_a_guest_runs_and_its_thread_ends_with_it() {
        let (beats, heard) = mpsc::channel();
        let ticker = Ticker::start(move || beats.send(()).unwrap()).unwrap();
        let pulse = Arc::clone(&ticker.pulse);
        let first = ticker.running();
        let second = ticker.running();
        for _ in 0..3 {
            heard.recv_timeout(DEADLINE).unwrap();
        }
        drop((first, second));
        assert_eq!(pulse.state().running, 0);
        drop(ticker);
        assert_eq!(Arc::strong_count(&pulse), 1, "the thread still holds the pulse");
        // What was sent before the thread ended may wait; the sender itself is gone.
        while heard.try_recv().is_ok() {}
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn an_idle_ticker_can_be_dropped_before_its_first_beat() {
        let ticker = Ticker::start(|| {}).unwrap();
        drop(ticker);
    }

    #[test]
    fn it_beats_however_often_guests_start() {
        let (beats, heard) = mpsc::channel();
        let ticker = Ticker::start(move || _ = beats.send(())).unwrap();
        let first = ticker.running();
        let mut heard_beats = 0;
        for _ in 0..1000 {
            let another = ticker.running();
            heard_beats += usize::from(heard.recv_timeout(Duration::from_millis(2)).is_ok());
            drop(another);
            if heard_beats == 10 {
                break;
            }
        }
        drop(first);
        assert_eq!(heard_beats, 10);
    }
}
