//! When a call that is being answered gives way to an urgent one. Pure: no clock, no IO.
//!
//! Ollama stops a generation only for good, so what was generated is lost and the call is made anew. It is
//! asked of `bulk` only, and for nobody but an urgent call. The planner has the last word: the running call
//! gives way if the planner, were it back in its place in the line, would rather take the urgent one. So
//! an interruption never sets aside what the planner promises: a bulk call whose rank has grown better than
//! the urgent one's stays, and a model is not unloaded before a quarter of its quantum is over.
//!
//! No call is interrupted for ever: after three times, or once it would have lost more than two minutes of
//! generating in all, it is left in peace. Nor is one whose end is known to be nearer than the detour.

use std::time::Duration;

use roughneck_jobs::priority::Priority;

use crate::{
    planner::{self, Loaded, Next, Waiting},
    swap::SwapCost,
};

/// A call gives way so many times.
const INTERRUPTIONS_MAX: u32 = 3;
/// Generating that is thrown away, of one call in all.
const LOST_MAX: Duration = Duration::from_secs(120);
/// What an interruption costs even if nothing is swapped: the prompt is read again.
const DETOUR_MIN: Duration = Duration::from_secs(1);

/// What a call has lost by giving way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How often it did.
    pub interruptions: u32,
    /// For how long Ollama had been busy with it each time, in all.
    pub lost: Duration,
}

/// A call that is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// As it would wait if it gave way. Its runner is what is loaded.
    pub call: Waiting,
    /// What it has lost already.
    pub past: Past,
    /// How long Ollama has been busy with it.
    pub age: Duration,
    /// How much longer it takes at most, if that is known.
    pub rest: Option<Duration>,
}

/// What becomes of the running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gives way.
    GiveWay,
    /// It goes on. If nobody comes or leaves, this must be decided again after so long.
    Again(Duration),
    /// It goes on.
    GoOn,
}

impl Past {
    /// It gave way, after Ollama had been busy with it for `age`.
    pub fn gave_way(&mut self, age: Duration) {
        self.interruptions = self.interruptions.saturating_add(1);
        self.lost = self.lost.saturating_add(age);
    }

    fn is_spent(&self, age: Duration) -> bool {
        self.interruptions >= INTERRUPTIONS_MAX || self.lost.saturating_add(age) > LOST_MAX
    }
}

/// Whether calls of this priority give way at all.
pub(crate) fn is_bulk(priority: Priority) -> bool {
    priority <= Priority::BULK
}

/// Decides for the running call, with those who wait.
#[must_use]
pub fn decide(running: &Running, waiting: &[Waiting], loaded: Loaded, cost: &SwapCost) -> Decision {
    let Running { call: own, past, age, rest } = running;
    if !is_bulk(own.priority) || past.is_spent(*age) {
        return Decision::GoOn;
    }
    let urgent = waiting.iter().filter(|call| planner::is_urgent(call.priority));
    let urgent = urgent.min_by_key(|call| call.place()).filter(|call| call.place() < own.place());
    let Some(urgent) = urgent else { return Decision::GoOn };
    let detour = urgent.swap.map_or(DETOUR_MIN, |swap| cost.of(swap).max(DETOUR_MIN));
    if rest.is_some_and(|rest| rest <= detour) {
        return Decision::GoOn;
    }
    let line = waiting.iter().chain([own]);
    let next = match planner::next(line.clone().copied(), loaded, cost) {
        Some(Next::Call(choice)) => waiting.iter().find(|call| call.ticket == choice.ticket),
        Some(Next::Linger(_)) | None => None,
    };
    if next.is_some_and(|next| next.place() <= urgent.place()) {
        return Decision::GiveWay;
    }
    // Of what the planner looks at, only the age of the quantum changes by itself.
    let first = line.min_by_key(|call| call.place());
    let left = first.map(|first| planner::passed_over_for(first, loaded, cost));
    left.filter(|left| !left.is_zero()).map_or(Decision::GoOn, Decision::Again)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use roughneck_jobs::clock::Millis;

    use super::*;
    use crate::swap::Swap;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn waiting(ticket: u64, rank: i64, priority: Priority, swap: Option<Swap>) -> Waiting {
        Waiting { swap, rank: Millis(rank), priority, ticket }
    }

    fn urgent(swap: Option<Swap>) -> Waiting {
        waiting(9, 10, Priority::URGENT, swap)
    }

    /// A bulk call of a worse rank than [`urgent`], with nothing lost yet.
    fn running() -> Running {
        let call = waiting(1, 100, Priority::BULK, None);
        Running { call, past: Past::default(), age: s(20), rest: None }
    }

    /// What is loaded has been for `seconds`. A swap costs 10 s: a quarter of the quantum is 30 s.
    fn decided(running: &Running, waiting: &[Waiting], seconds: u64) -> Decision {
        let loaded = Loaded { quantum_age: s(seconds), idle: s(20) };
        decide(running, waiting, loaded, &SwapCost::default())
    }

    #[test]
    fn only_bulk_gives_way_and_only_to_an_urgent_call_of_better_rank() {
        let level = |level| Priority::new(level).unwrap();
        let of = |priority| {
            let call = Waiting { priority, ..running().call };
            Running { call, ..running() }
        };
        for (running, waiting, decision) in [
            (running(), vec![urgent(None)], Decision::GiveWay),
            (running(), vec![], Decision::GoOn),
            (running(), vec![waiting(9, 10, Priority::HIGH, None)], Decision::GoOn),
            (running(), vec![waiting(9, 10, level(99), None)], Decision::GoOn),
            // It has waited for so long that it is before the urgent one.
            (running(), vec![waiting(9, 101, Priority::URGENT, None)], Decision::GoOn),
            (of(level(1)), vec![urgent(None)], Decision::GoOn),
            (of(Priority::LOW), vec![urgent(None)], Decision::GoOn),
            (of(Priority::URGENT), vec![urgent(None)], Decision::GoOn),
        ] {
            assert_eq!(decided(&running, &waiting, 0), decision, "{running:?} {waiting:?}");
        }
    }

    #[test]
    fn another_model_is_loaded_for_it_only_when_the_planner_would() {
        let swaps = [urgent(Some(Swap::Model))];
        for (seconds, decision) in [
            (0, Decision::Again(s(30))),
            (29, Decision::Again(s(1))),
            (30, Decision::GiveWay),
            (500, Decision::GiveWay),
        ] {
            assert_eq!(decided(&running(), &swaps, seconds), decision, "{seconds}");
        }
    }

    #[test]
    fn nobody_is_interrupted_for_the_gain_of_a_third() {
        let normal = |rank, swap| waiting(5, rank, Priority::NORMAL, swap);
        for (third, seconds, decision) in [
            // It has a better rank, so it would go before the urgent one in any case.
            (normal(5, None), 0, Decision::GiveWay),
            (normal(50, None), 0, Decision::GiveWay),
            // The planner would pass over it, and take the running call again.
            (normal(5, Some(Swap::Model)), 31, Decision::Again(s(89))),
            (normal(5, Some(Swap::Model)), 120, Decision::GiveWay),
        ] {
            let line = [third, urgent(Some(Swap::Model))];
            let line = if third.swap.is_none() { [third, urgent(None)] } else { line };
            assert_eq!(decided(&running(), &line, seconds), decision, "{third:?} {seconds}");
        }
        // A bulk call for what is loaded would be next, and the urgent one would still wait.
        let line = [urgent(Some(Swap::Model)), waiting(2, 90, Priority::BULK, None)];
        assert_eq!(decided(&running(), &line, 10), Decision::Again(s(20)));
    }

    #[test]
    fn what_a_call_may_lose_is_bounded() {
        for (interruptions, lost, age, decision) in [
            (2, 60, 60, Decision::GiveWay),
            (2, 60, 61, Decision::GoOn),
            (0, 0, 120, Decision::GiveWay),
            (0, 0, 121, Decision::GoOn),
            (3, 0, 0, Decision::GoOn),
        ] {
            let past = Past { interruptions, lost: s(lost) };
            let running = Running { past, age: s(age), ..running() };
            assert_eq!(decided(&running, &[urgent(None)], 500), decision, "{running:?}");
        }
        let mut past = Past::default();
        past.gave_way(s(7));
        past.gave_way(s(5));
        assert_eq!(past, Past { interruptions: 2, lost: s(12) });
    }

    #[test]
    fn an_end_that_is_nearer_than_the_detour_is_waited_for() {
        for (swap, rest, decision) in [
            (None, Some(s(1)), Decision::GoOn),
            (None, Some(s(2)), Decision::GiveWay),
            (Some(Swap::Model), Some(s(10)), Decision::GoOn),
            (Some(Swap::Model), Some(s(11)), Decision::GiveWay),
            (Some(Swap::Options), Some(s(6)), Decision::GiveWay),
            (None, None, Decision::GiveWay),
        ] {
            let running = Running { rest, ..running() };
            assert_eq!(decided(&running, &[urgent(swap)], 500), decision, "{swap:?} {rest:?}");
        }
    }

    fn anybody() -> impl Strategy<Value = Waiting> {
        let priority = select(vec![Priority::BULK, Priority::HIGH, Priority::URGENT]);
        let swap = select(vec![None, Some(Swap::Options), Some(Swap::Model)]);
        let call = (0_i64..20, priority, swap);
        call.prop_map(|(rank, priority, swap)| waiting(0, rank, priority, swap))
    }

    proptest! {
        /// Otherwise calls would be interrupted in a ring, or for the gain of a third.
        #[test]
        fn who_gives_way_is_not_next_and_nobody_worse_than_the_urgent_one_is(
            line in vec(anybody(), 0..6),
            rank in 0_i64..20,
            quantum_age in 0_u64..150,
        ) {
            let tickets = line.into_iter().zip(2..);
            let line: Vec<Waiting> =
                tickets.map(|(call, ticket)| Waiting { ticket, ..call }).collect();
            let running = Running { call: waiting(1, rank, Priority::BULK, None), ..running() };
            if decided(&running, &line, quantum_age) == Decision::GiveWay {
                let again = line.iter().chain([&running.call]).copied();
                let loaded = Loaded { quantum_age: s(quantum_age), idle: s(20) };
                let next = planner::next(again, loaded, &SwapCost::default());
                let Some(Next::Call(choice)) = next else { panic!("somebody waits") };
                let next = line.iter().find(|call| call.ticket == choice.ticket).unwrap();
                let urgent = line.iter().filter(|call| call.priority == Priority::URGENT);
                prop_assert!(next.place() <= urgent.map(Waiting::place).min().unwrap());
            }
        }
    }
}
