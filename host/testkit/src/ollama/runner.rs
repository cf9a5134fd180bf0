//! The one runner: one model loaded at a time, one request at a time on it.
//!
//! As upstream with `OLLAMA_MAX_LOADED_MODELS=1` and `OLLAMA_NUM_PARALLEL=1`: a request that fits the loaded model goes
//! straight to the queue of the runner; one that does not waits, first come first served, until the runner has no user
//! left, and then loads. A load belongs to the request that caused it, and dies with it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};
use tokio::time::Instant;

use super::clock::{Stopwatch, wall_now};
use super::config::Model;
use super::keep_alive::KeepAlive;
use super::key::RunnerKey;
use super::ring::Ring;
use crate::lock::locked;

/// One load of a model, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The model, by the name that it is installed under.
    pub model: String,
    /// Context it was loaded with, in tokens.
    pub context_length: u64,
    /// How it ended.
    pub outcome: LoadOutcome,
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadOutcome {
    /// It goes on.
    Loading,
    /// The model was loaded.
    Loaded,
    /// The client that had caused it left before it was done.
    Aborted,
}

/// What a request needs loaded.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) model: Arc<Model>,
    pub(super) key: RunnerKey,
    pub(super) keep_alive: KeepAlive,
}

/// What `/api/ps` shows.
pub(super) struct Resident {
    pub(super) model: Arc<Model>,
    pub(super) context_length: u64,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Runner {
    state: Mutex<State>,
    /// Held while waiting for the old model to be free and while loading the new one. Tokio's mutex is fair.
    pending: AsyncMutex<()>,
    /// Rung when the last user of the loaded model is done, or the model is gone.
    idle: Notify,
}

#[derive(Debug)]
struct State {
    loaded: Option<Loaded>,
    loads: Ring<Load>,
}

#[derive(Debug)]
struct Loaded {
    wanted: Wanted,
    users: usize,
    /// The one slot. Tokio's mutex is fair.
    slot: Arc<AsyncMutex<()>>,
    /// While nobody uses it: when it unloads. None is never.
    expires: Option<Instant>,
}

/// Keeps the model loaded while a request uses it.
#[derive(Debug)]
pub(super) struct Lease {
    runner: Arc<Runner>,
    slot: Arc<AsyncMutex<()>>,
}

impl Runner {
    pub(super) fn new(loads_max: usize) -> Self {
        Self {
            state: Mutex::new(State { loaded: None, loads: Ring::new(loads_max) }),
            pending: AsyncMutex::new(()),
            idle: Notify::new(),
        }
    }

    /// Returns once the model is loaded. Dropping the future gives up the place in the queue, or the load. One that answers
    /// elsewhere is not, and has as many slots as anybody wants.
    pub(super) async fn acquire(self: &Arc<Self>, wanted: &Wanted, watch: &mut Stopwatch) -> Lease {
        if wanted.model.remote.is_some() {
            return Lease { runner: Arc::clone(self), slot: Arc::default() };
        }
        if let Some(lease) = self.join(wanted) {
            return lease;
        }
        let _turn = self.pending.lock().await;
        if let Some(lease) = self.join(wanted) {
            return lease;
        }
        self.evict().await;
        let loading = Loading::begin(self, wanted);
        watch.begin_phase();
        watch.spend(wanted.model.load_time).await;
        loading.complete(wanted)
    }

    /// A lease on the loaded model, if it fits. The last request decides how long the model stays.
    fn join(self: &Arc<Self>, wanted: &Wanted) -> Option<Lease> {
        let mut state = locked(&self.state);
        state.expire_due();
        let loaded = state.loaded.as_mut()?;
        if !wanted.key.fits(&loaded.wanted.key) {
            return None;
        }
        loaded.users += 1;
        loaded.wanted.keep_alive = wanted.keep_alive;
        Some(Lease { runner: Arc::clone(self), slot: Arc::clone(&loaded.slot) })
    }

    /// Waits until nobody uses the loaded model, and unloads it.
    async fn evict(&self) {
        loop {
            let rung = self.idle.notified();
            {
                let mut state = locked(&self.state);
                if state.loaded.as_ref().is_none_or(|loaded| loaded.users == 0) {
                    state.loaded = None;
                    return;
                }
            }
            rung.await;
        }
    }

    /// Unloads the model as soon as nobody uses it, if it is the loaded one.
    pub(super) fn unload(&self, model: &Model) {
        let mut state = locked(&self.state);
        if let Some(loaded) = &mut state.loaded
            && loaded.wanted.key.blob == model.blob
        {
            loaded.wanted.keep_alive = KeepAlive::UNLOAD;
            if loaded.users == 0 {
                state.loaded = None;
            }
        }
    }

    /// Forgets the loaded model, whoever uses it: the server is gone or the runner has died, and so is what it had in memory.
    pub(super) fn clear(&self) {
        locked(&self.state).loaded = None;
        self.idle.notify_waiters();
    }

    pub(super) fn resident(&self) -> Option<Resident> {
        let mut state = locked(&self.state);
        state.expire_due();
        let loaded = state.loaded.as_ref()?;
        let left = match loaded.wanted.keep_alive {
            // Go's longest duration, about 292 years: what upstream shows for "forever".
            KeepAlive::Forever => Duration::from_nanos(i64::MAX.unsigned_abs()),
            KeepAlive::For(length) => {
                loaded.expires.map_or(length, |at| at.saturating_duration_since(Instant::now()))
            }
        };
        Some(Resident {
            model: Arc::clone(&loaded.wanted.model),
            context_length: loaded.wanted.key.num_ctx,
            expires_at: wall_now().saturating_add(left).unwrap_or(Timestamp::MAX),
        })
    }

    pub(super) fn loads(&self) -> Vec<Load> {
        locked(&self.state).loads.snapshot()
    }
}

impl State {
    /// Unloads what has outlived its keep-alive. Asked before every look at the state, so that no timer is needed.
    fn expire_due(&mut self) {
        let due = |loaded: &Loaded| {
            loaded.users == 0 && loaded.expires.is_some_and(|at| at <= Instant::now())
        };
        if self.loaded.as_ref().is_some_and(due) {
            self.loaded = None;
        }
    }
}

impl Lease {
    /// Waits for the slot, first come first served.
    pub(super) async fn slot(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.slot).lock_owned().await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = locked(&self.runner.state);
        // Another slot means that the server went away and came back in the meantime.
        if let Some(loaded) = &mut state.loaded
            && Arc::ptr_eq(&loaded.slot, &self.slot)
        {
            loaded.users -= 1;
            if loaded.users == 0 {
                loaded.expires = match loaded.wanted.keep_alive {
                    KeepAlive::Forever => None,
                    KeepAlive::For(length) => Instant::now().checked_add(length),
                };
                state.expire_due();
                self.runner.idle.notify_waiters();
            }
        }
    }
}

/// A load that goes on. Dropping it is aborting it.
struct Loading {
    runner: Arc<Runner>,
    number: usize,
}

impl Loading {
    fn begin(runner: &Arc<Runner>, wanted: &Wanted) -> Self {
        let number = locked(&runner.state).loads.push(Load {
            model: wanted.model.name.clone(),
            context_length: wanted.key.num_ctx,
            outcome: LoadOutcome::Loading,
        });
        Self { runner: Arc::clone(runner), number }
    }

    fn complete(self, wanted: &Wanted) -> Lease {
        let slot = Arc::new(AsyncMutex::new(()));
        let mut state = locked(&self.runner.state);
        if let Some(load) = state.loads.get_mut(self.number) {
            load.outcome = LoadOutcome::Loaded;
        }
        state.loaded = Some(Loaded {
            wanted: wanted.clone(),
            users: 1,
            slot: Arc::clone(&slot),
            expires: None,
        });
        drop(state);
        Lease { runner: Arc::clone(&self.runner), slot }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(load) = locked(&self.runner.state).loads.get_mut(self.number)
            && load.outcome == LoadOutcome::Loading
        {
            load.outcome = LoadOutcome::Aborted;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::super::clock::Pace;
    use super::super::faults::Faults;
    use super::super::options::Options;
    use super::*;

    fn runner() -> Arc<Runner> {
        Arc::new(Runner::new(8))
    }

    fn wanted(model: &str, keep_alive: Duration) -> Wanted {
        let model = Model { load_time: Duration::ZERO, ..Model::chat(model) };
        let key = RunnerKey::of(&model, &Options::default(), None, 4096);
        Wanted { model: Arc::new(model), key, keep_alive: KeepAlive::For(keep_alive) }
    }

    fn watch() -> Stopwatch {
        Stopwatch::start(Pace::Skipped, Faults::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_outlives_its_keep_alive_by_nothing() {
        let (runner, moment) = (runner(), Duration::from_millis(1));
        let wanted = wanted("a", 20 * moment);
        let lease = runner.acquire(&wanted, &mut watch()).await;
        advance(100 * moment).await;
        assert!(runner.resident().is_some(), "it is used");
        drop(lease);
        advance(19 * moment).await;
        assert!(runner.resident().is_some(), "it was used a moment ago");
        advance(moment).await;
        assert!(runner.resident().is_none());
    }

    #[tokio::test]
    async fn who_waits_for_a_model_to_be_free_goes_on_when_it_is_gone() {
        let (runner, long) = (runner(), Duration::from_secs(60));
        let (wanted, other) = (wanted("a", long), wanted("b", long));
        let lease = runner.acquire(&wanted, &mut watch()).await;
        let mut watch = watch();
        let mut waits = std::pin::pin!(runner.acquire(&other, &mut watch));
        assert!(timeout(Duration::ZERO, &mut waits).await.is_err(), "the other one is used");
        runner.clear();
        let _loaded = timeout(long, waits).await.unwrap();
        drop(lease);
        assert_eq!(runner.resident().unwrap().model.name, "b");
    }
}
