//! The calls of a day, drawn from a seed.

use roughneck_jobs::{clock::Millis, priority::Priority};

use super::dice::Dice;

/// How long a day brings calls. What is left then still runs.
const DAY_MS: f64 = 24.0 * 3_600_000.0;
/// What an answer takes on average, and at least and at most.
const ANSWER_MS: f64 = 17_000.0;
const ANSWER_RANGE_MS: (f64, f64) = (500.0, 170_000.0);
/// How often somebody in a conversation asks again, and how long after an answer.
const FOLLOW_UPS: u32 = 3;
const PAUSE_MS: u64 = 2000;
/// How heavily the rare models load the lane beside the hot one.
const RARE_LOAD: f64 = 0.02;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) at_ms: u64,
    /// When its conversation began: its rank is that of a job.
    submitted_at_ms: u64,
    /// How many calls come after it.
    follow_ups: u32,
    pub(super) model: Model,
    pub(super) priority: Priority,
    /// What its answer takes once its model is loaded.
    pub(super) answer_ms: u64,
}

/// One of three models, which are never loaded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    A,
    B,
    C,
}

impl Arrival {
    /// The rank of its job.
    pub(super) fn rank(&self) -> Millis {
        self.priority.rank(Millis(self.submitted_at_ms as i64))
    }

    /// The next call of its conversation, once it was answered.
    pub(super) fn next(&self, answered_at_ms: u64) -> Option<Self> {
        let follow_ups = self.follow_ups.checked_sub(1)?;
        Some(Self { at_ms: answered_at_ms + PAUSE_MS, follow_ups, ..*self })
    }

    #[cfg(test)]
    pub(super) fn single(at_ms: u64, model: Model, priority: Priority) -> Self {
        Self { at_ms, submitted_at_ms: at_ms, follow_ups: 0, model, priority, answer_ms: 1000 }
    }
}

/// A day on which three models are wanted alike. `load` is how much of the day the answers alone take.
pub(super) fn mixed(seed: u64, load: f64) -> Vec<Arrival> {
    draw(&mut Dice::new(seed), load, [(Model::A, 1.0), (Model::B, 1.0), (Model::C, 1.0)])
}

/// The same with conversations: most calls are made when the one before was answered.
pub(super) fn conversations(seed: u64, load: f64) -> Vec<Arrival> {
    let mut arrivals = mixed(seed, load / f64::from(1 + FOLLOW_UPS));
    for arrival in &mut arrivals {
        arrival.follow_ups = FOLLOW_UPS;
    }
    arrivals
}

/// A day on which one model is wanted more than there is time, and two others now and then.
pub(super) fn hot(seed: u64, load: f64) -> Vec<Arrival> {
    let mut dice = Dice::new(seed);
    let mut arrivals = draw(&mut dice, load, [(Model::A, 1.0)]);
    arrivals.extend(draw(&mut dice, RARE_LOAD, [(Model::B, 1.0), (Model::C, 1.0)]));
    arrivals.sort_by_key(|arrival| arrival.at_ms);
    arrivals
}

fn draw<const N: usize>(dice: &mut Dice, load: f64, models: [(Model, f64); N]) -> Vec<Arrival> {
    let priorities = [
        (Priority::URGENT, 0.1),
        (Priority::HIGH, 0.2),
        (Priority::NORMAL, 0.4),
        (Priority::LOW, 0.3),
    ];
    let (least_ms, greatest_ms) = ANSWER_RANGE_MS;
    let mut arrivals = Vec::new();
    let mut at_ms = dice.span(ANSWER_MS / load);
    while at_ms < DAY_MS {
        let answer_ms = dice.span(ANSWER_MS).clamp(least_ms, greatest_ms);
        if let (Some(model), Some(priority)) = (dice.pick(models), dice.pick(priorities)) {
            let (at_ms, answer_ms) = (at_ms as u64, answer_ms as u64);
            let call = Arrival {
                at_ms,
                submitted_at_ms: at_ms,
                follow_ups: 0,
                model,
                priority,
                answer_ms,
            };
            arrivals.push(call);
        }
        at_ms += dice.span(ANSWER_MS / load);
    }
    arrivals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_full_as_it_is_meant_to_be() {
        for load in [0.6, 0.85] {
            let total_ms: u64 = mixed(1, load).iter().map(|arrival| arrival.answer_ms).sum();
            let part = total_ms as f64 / DAY_MS;
            assert!((part / load - 1.0).abs() < 0.05, "{part} of {load}");
        }
        let day = hot(1, 1.05);
        assert!(day.is_sorted_by_key(|arrival| arrival.at_ms));
        let rare = day.iter().filter(|arrival| arrival.model != Model::A).count();
        assert!((60..150).contains(&rare), "{rare}");
    }
}
