//! One day under one rule.

use std::time::Duration;

use roughneck_jobs::priority::Priority;
use roughneck_llm::swap::{Swap, SwapCost};

use super::{
    rule::{Line, Loaded, Rule},
    trace::{Arrival, Model},
};

/// What loading a model takes.
const SWAP_MS: u64 = 25_000;

/// What came of a day.
pub(super) struct Day {
    pub(super) swaps: u32,
    ran: Vec<(Arrival, u64)>,
}

/// Runs all calls of a day, one at a time.
pub(super) fn run(rule: Rule, arrivals: &[Arrival]) -> Day {
    let mut day = Day { swaps: 0, ran: Vec::with_capacity(arrivals.len()) };
    let mut loaded = Loaded { model: None, for_ms: 0, cost: SwapCost::default() };
    let (mut now_ms, mut loaded_at_ms) = (0, 0);
    let mut line = Line::new();
    let mut coming = arrivals.iter().zip(0..).peekable();
    loop {
        while let Some((arrival, ticket)) = coming.next_if(|(next, _)| next.at_ms <= now_ms) {
            line.insert(rule.place(arrival, ticket), *arrival);
        }
        loaded.for_ms = now_ms - loaded_at_ms;
        let Some(call) = rule.next(&line, &loaded).and_then(|place| line.remove(&place)) else {
            match coming.peek() {
                Some((next, _)) => now_ms = next.at_ms,
                None => return day,
            }
            continue;
        };
        if loaded.model != Some(call.model) {
            now_ms += SWAP_MS;
            loaded_at_ms = now_ms;
            loaded.model = Some(call.model);
            loaded.cost.learn(Swap::Model, Duration::from_millis(SWAP_MS));
            day.swaps += 1;
        }
        day.ran.push((call, now_ms - call.at_ms));
        now_ms += call.answer_ms;
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

    fn call(at_ms: u64, model: Model, priority: Priority) -> Arrival {
        Arrival { at_ms, model, priority, answer_ms: 1000 }
    }

    #[test]
    fn every_rule_runs_every_call_and_pays_for_its_swaps() {
        let (a, b, low) = (Model::A, Model::B, Priority::LOW);
        let calls = [
            call(0, a, low),
            call(1, b, low),
            call(2, a, low),
            call(3, b, Priority::URGENT),
            call(4, a, low),
        ];
        let swaps = Rule::ALL.map(|rule| {
            let day = run(rule, &calls);
            assert_eq!(day.ran.len(), calls.len(), "{rule:?}");
            day.swaps
        });
        assert_eq!(swaps, [5, 3, 2, 3, 2]);
        let drained = run(Rule::Drain, &calls);
        assert_eq!(drained.waits_s(Priority::URGENT), (53.997, 53.997));
        assert!((drained.worst_rare_s() - 53.997).abs() < 1e-9);
    }
}
