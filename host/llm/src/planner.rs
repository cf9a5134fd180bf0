//! Whose call is next. Pure: no clock, no IO. Whether one that is being answered gives way, [`crate::preempt`]
//! decides by what this would choose.
//!
//! Calls for what is loaded go first for a while, the residency quantum: twelve times what the swap
//! would cost, so that leaving a runner that is still wanted takes at most a thirteenth of the time.
//! After it, the best rank goes first, whatever it needs. If that is an urgent call, it waits for a
//! quarter of the quantum only.
//! Among calls for the same runner the rank decides, and among equal ranks the order of arrival.
//!
//! When nothing waits for what is loaded, the lane lingers before it swaps, for a tenth of what the swap
//! would cost: whoever was just answered often asks again, and of the jobs in the store only one shows
//! itself here. An urgent call is not kept waiting for somebody who may come.
//!
//! Nothing starves. Take a waiting call C, and the calls that are ranked better than C while it waits;
//! a rank never changes and new calls rank ever worse, so these end. Whenever C's call or one of
//! theirs is not chosen, a call for what is loaded passed over the best rank, within a quantum. A
//! quantum begins with a load, and with no other than one for the best-ranked call of its moment: for
//! C, or for one of those before it. So C waits for at most one quantum for each of them, and the one
//! that lasted when it came, however busy the loaded model is. The lane lingers within a quantum only.
//!
//! Deliberately no deadline for lateness: once all are late, every call would swap, which makes all
//! later still.

use std::time::Duration;

use roughneck_jobs::{clock::Millis, priority::Priority};

use crate::swap::{Swap, SwapCost};

/// A quantum, in swaps.
const QUANTUM_SWAPS: u32 = 12;
/// What an urgent call waits of it: one part in so many.
pub(crate) const URGENT_PART: u32 = 4;
/// How long the lane lingers: one part in so many of the swap.
const LINGER_PART: u32 = 10;
/// Where a load costs nothing, a burst of calls for one runner still stays together.
const QUANTUM_MIN: Duration = Duration::from_secs(5);

/// A call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What it makes Ollama load, or none if its runner is what is loaded.
    pub swap: Option<Swap>,
    /// Its job's rank: lower is first.
    pub rank: Millis,
    /// Its job's priority.
    pub priority: Priority,
    /// The order of arrival.
    pub ticket: u64,
}

/// How what is loaded has been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// How long ago its quantum began.
    pub quantum_age: Duration,
    /// How long ago its last call ended.
    pub idle: Duration,
}

/// What the lane does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It takes this call.
    Call(Choice),
    /// It waits so long for a call for what is loaded, and decides again then, or when one comes.
    Linger(Duration),
}

/// Why a call is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its runner is loaded.
    Loaded,
    /// Nothing waits for what is loaded, and none came while the lane lingered, so the best rank is next.
    Drained,
    /// The quantum of what is loaded is over.
    Quantum,
    /// It is urgent, and a quarter of the quantum is over.
    Urgent,
}

/// The call that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its ticket.
    pub ticket: u64,
    /// Why.
    pub reason: Reason,
    /// Whether a call with a better rank waits on because it needs a swap.
    pub passes_over: bool,
}

impl Waiting {
    /// Its place by rank: lower is first.
    pub(crate) fn place(&self) -> (Millis, u64) {
        (self.rank, self.ticket)
    }

    fn comes_before(&self, other: &Self) -> bool {
        self.place() < other.place()
    }

    fn chosen(&self, reason: Reason) -> Choice {
        Choice { ticket: self.ticket, reason, passes_over: false }
    }
}

/// Decides for those who wait; none if nobody does.
pub fn next(
    waiting: impl IntoIterator<Item = Waiting>,
    loaded: Loaded,
    cost: &SwapCost,
) -> Option<Next> {
    let (mut first, mut first_loaded) = (None::<Waiting>, None::<Waiting>);
    for call in waiting {
        if first.is_none_or(|first| call.comes_before(&first)) {
            first = Some(call);
        }
        if call.swap.is_none() && first_loaded.is_none_or(|first| call.comes_before(&first)) {
            first_loaded = Some(call);
        }
    }
    let first = first?;
    Some(match first_loaded {
        Some(stays) => Next::Call(stay_or_swap(&first, &stays, loaded, cost)),
        None => match linger(&first, loaded, cost) {
            Some(left) => Next::Linger(left),
            None => Next::Call(first.chosen(Reason::Drained)),
        },
    })
}

/// Chooses between the first in rank and the first of those for what is loaded.
fn stay_or_swap(first: &Waiting, stays: &Waiting, loaded: Loaded, cost: &SwapCost) -> Choice {
    let Some(swap) = first.swap else { return first.chosen(Reason::Loaded) };
    if loaded.quantum_age >= quantum(cost, swap) {
        first.chosen(Reason::Quantum)
    } else if passed_over_for(first, loaded, cost).is_zero() {
        first.chosen(Reason::Urgent)
    } else {
        Choice { passes_over: true, ..stays.chosen(Reason::Loaded) }
    }
}

/// How much longer calls for what is loaded pass over this one, if it is the first in rank.
pub(crate) fn passed_over_for(first: &Waiting, loaded: Loaded, cost: &SwapCost) -> Duration {
    let Some(swap) = first.swap else { return Duration::ZERO };
    let quantum = quantum(cost, swap);
    let whole = if is_urgent(first.priority) { quantum / URGENT_PART } else { quantum };
    whole.saturating_sub(loaded.quantum_age)
}

/// How much longer the lane lingers before it swaps for the first in rank.
fn linger(first: &Waiting, loaded: Loaded, cost: &SwapCost) -> Option<Duration> {
    let swap = match first.swap {
        Some(swap @ (Swap::Model | Swap::Options)) if !is_urgent(first.priority) => swap,
        Some(Swap::Cold | Swap::Model | Swap::Options) | None => return None,
    };
    let left = (cost.of(swap) / LINGER_PART).saturating_sub(loaded.idle);
    let left = left.min(quantum(cost, swap).saturating_sub(loaded.quantum_age));
    (!left.is_zero()).then_some(left)
}

/// How long calls for what is loaded may pass over one that needs this swap.
#[must_use]
pub fn quantum(cost: &SwapCost, swap: Swap) -> Duration {
    (cost.of(swap) * QUANTUM_SWAPS).max(QUANTUM_MIN)
}

pub(crate) fn is_urgent(priority: Priority) -> bool {
    priority >= Priority::URGENT
}

#[cfg(test)]
mod tests;
