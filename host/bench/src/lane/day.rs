//! One day under one rule.

use std::{collections::BTreeMap, time::Duration};

use roughneck_jobs::priority::Priority;
use roughneck_llm::{
    planner,
    swap::{Swap, SwapCost},
};

use super::{
    rule::{Line, Loaded, Next, Place, Rule},
    trace::{Arrival, Model},
};

/// What loading a model takes.
const SWAP_MS: u64 = 25_000;

/// What came of a day.
#[derive(Default)]
pub(super) struct Day {
    pub(super) swaps: u32,
    ran: Vec<(Arrival, u64)>,
}

/// The lane at one moment of the day.
struct Lane {
    now_ms: u64,
    /// Who comes later, by time and ticket.
    coming: BTreeMap<(u64, u64), Arrival>,
    next_ticket: u64,
    line: Line,
    model: Option<Model>,
    cost: SwapCost,
    loaded_at_ms: u64,
    answered_at_ms: Option<u64>,
    day: Day,
}

/// Runs all calls of a day, one at a time.
pub(super) fn run(rule: Rule, arrivals: &[Arrival]) -> Day {
    let mut lane = Lane::new(arrivals);
    loop {
        lane.let_in(rule);
        match rule.next(&lane.line, &lane.loaded()) {
            Some(Next::Call(place)) => lane.answer(place),
            Some(Next::Linger { ms }) => {
                let over_ms = lane.now_ms + ms;
                lane.now_ms = lane.next_comes_ms().map_or(over_ms, |at_ms| at_ms.min(over_ms));
            }
            None => match lane.next_comes_ms() {
                Some(at_ms) => lane.now_ms = at_ms,
                None => return lane.day,
            },
        }
    }
}

impl Lane {
    fn new(arrivals: &[Arrival]) -> Self {
        let mut lane = Self {
            now_ms: 0,
            coming: BTreeMap::new(),
            next_ticket: 0,
            line: Line::new(),
            model: None,
            cost: SwapCost::default(),
            loaded_at_ms: 0,
            answered_at_ms: None,
            day: Day::default(),
        };
        for arrival in arrivals {
            lane.expect(*arrival);
        }
        lane
    }

    fn expect(&mut self, arrival: Arrival) {
        self.coming.insert((arrival.at_ms, self.next_ticket), arrival);
        self.next_ticket += 1;
    }

    fn next_comes_ms(&self) -> Option<u64> {
        self.coming.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// Lines up all who have come.
    fn let_in(&mut self, rule: Rule) {
        while self.next_comes_ms().is_some_and(|at_ms| at_ms <= self.now_ms) {
            if let Some(((_, ticket), arrival)) = self.coming.pop_first() {
                self.line.insert(rule.place(&arrival, ticket), arrival);
            }
        }
    }

    fn loaded(&self) -> Loaded {
        let since = |at_ms| Duration::from_millis(self.now_ms - at_ms);
        let usage = planner::Loaded {
            quantum_age: since(self.loaded_at_ms),
            idle: self.answered_at_ms.map_or(Duration::MAX, since),
        };
        Loaded { model: self.model, usage, cost: self.cost }
    }

    fn answer(&mut self, place: Place) {
        let Some(call) = self.line.remove(&place) else { return };
        if self.model != Some(call.model) {
            self.now_ms += SWAP_MS;
            self.loaded_at_ms = self.now_ms;
            self.model = Some(call.model);
            self.cost.learn(Swap::Model, Duration::from_millis(SWAP_MS));
            self.day.swaps += 1;
        }
        self.day.ran.push((call, self.now_ms - call.at_ms));
        self.now_ms += call.answer_ms;
        self.answered_at_ms = Some(self.now_ms);
        if let Some(next) = call.next(self.now_ms) {
            self.expect(next);
        }
    }
}

impl Day {
    /// How long calls of this priority waited until their answer began, in seconds: 95 of a hundred at
    /// most so long, and the unluckiest.
    pub(super) fn waits_s(&self, priority: Priority) -> (f64, f64) {
        let mut waits_ms = self.waits_ms(|call| call.priority == priority);
        waits_ms.sort_unstable();
        let at = |part: f64| waits_ms.get(((waits_ms.len().max(1) - 1) as f64 * part) as usize);
        let seconds = |wait_ms: Option<&u64>| wait_ms.map_or(f64::NAN, |ms| *ms as f64 / 1000.0);
        (seconds(at(0.95)), seconds(at(1.0)))
    }

    /// How long the unluckiest call of a model that is not the first waited, in seconds.
    pub(super) fn worst_rare_s(&self) -> f64 {
        let waits_ms = self.waits_ms(|call| call.model != Model::A);
        waits_ms.iter().max().map_or(f64::NAN, |ms| *ms as f64 / 1000.0)
    }

    fn waits_ms(&self, wanted: impl Fn(&Arrival) -> bool) -> Vec<u64> {
        self.ran.iter().filter(|(call, _)| wanted(call)).map(|(_, wait_ms)| *wait_ms).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_runs_every_call_and_pays_for_its_swaps() {
        let (a, b, low) = (Model::A, Model::B, Priority::LOW);
        let calls = [
            Arrival::single(0, a, low),
            Arrival::single(1, b, low),
            Arrival::single(2, a, low),
            Arrival::single(3, b, Priority::URGENT),
            Arrival::single(4, a, low),
        ];
        let swaps = Rule::ALL.map(|rule| {
            let day = run(rule, &calls);
            assert_eq!(day.ran.len(), calls.len(), "{rule:?}");
            day.swaps
        });
        assert_eq!(swaps, [5, 3, 2, 3, 2, 2]);
        let drained = run(Rule::Drain, &calls);
        assert_eq!(drained.waits_s(Priority::URGENT), (53.997, 53.997));
        assert!((drained.worst_rare_s() - 53.997).abs() < 1e-9);
    }

    #[test]
    fn a_conversation_is_waited_for_by_the_planner_alone() {
        let mut calls = super::super::trace::conversations(1, 0.1);
        calls.truncate(1);
        let mut other = Arrival::single(calls[0].at_ms + 1, Model::B, Priority::HIGH);
        if calls[0].model == Model::B {
            other.model = Model::C;
        }
        calls.push(other);
        assert_eq!(run(Rule::Hasty, &calls).swaps, 3);
        assert_eq!(run(Rule::Planner, &calls).swaps, 2);
    }
}
