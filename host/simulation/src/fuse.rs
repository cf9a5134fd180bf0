//! What ends a life: at one drawn call of the store the host dies.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::{
    Dice,
    trouble::{self, Trouble},
};

/// Counts the calls of one life, and says what becomes of each.
pub(crate) struct Fuse {
    /// None in a life without trouble.
    drawn: Mutex<Option<Drawn>>,
    is_blown: watch::Sender<bool>,
    under_way: watch::Sender<usize>,
}

struct Drawn {
    dice: Dice,
    calls: u64,
    crash_at: u64,
}

impl Fuse {
    /// A life that ends at call number `crash_at`; without one it has no trouble at all.
    pub(crate) fn new(dice: Dice, crash_at: Option<u64>) -> Self {
        let drawn = crash_at.map(|crash_at| Drawn { dice, calls: 0, crash_at });
        Self {
            drawn: Mutex::new(drawn),
            is_blown: watch::Sender::new(false),
            under_way: watch::Sender::new(0),
        }
    }

    /// What becomes of the next call.
    pub(crate) fn next(&self) -> Trouble {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(drawn) = drawn.as_mut() else { return Trouble::None };
        drawn.calls += 1;
        trouble::draw(&mut drawn.dice, drawn.calls, drawn.crash_at)
    }

    pub(crate) fn blow(&self) {
        self.is_blown.send_replace(true);
    }

    pub(crate) fn is_blown(&self) -> bool {
        *self.is_blown.borrow()
    }

    /// Returns when the host is dead.
    pub(crate) async fn blown(&self) {
        // The sender is ours: it outlives this call.
        let _ = self.is_blown.subscribe().wait_for(|is_blown| *is_blown).await;
    }

    /// Says that a call is under way, until the answer is dropped.
    pub(crate) fn enter(&self) -> UnderWay<'_> {
        self.under_way.send_modify(|calls| *calls += 1);
        UnderWay(&self.under_way)
    }

    /// Returns when no call is under way: what the dead host asked for is done, and nobody heard of it.
    pub(crate) async fn is_quiet(&self) {
        let _ = self.under_way.subscribe().wait_for(|calls| *calls == 0).await;
    }
}

/// A call that is under way.
pub(crate) struct UnderWay<'a>(&'a watch::Sender<usize>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls = calls.saturating_sub(1));
    }
}
