//! Loading another runner in place of the one that is there, and what that costs.

use std::time::Duration;

/// Why a model has to be loaded for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Swap {
    /// Nothing is loaded.
    Cold,
    /// Another model is.
    Model,
    /// The same model is, with other options.
    Options,
}

/// A load that took less found its weights there, and says nothing of what a swap costs; one that took more was
/// stuck, and a queue planned by it would stand still.
const COST_MIN: Duration = Duration::from_millis(100);
const COST_MAX: Duration = Duration::from_secs(150);

/// How long loads have taken lately, by kind: an exponentially weighted mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwapCost {
    model: Option<Duration>,
    options: Option<Duration>,
}

impl SwapCost {
    /// What the loading of another model is believed to take before one was seen.
    const MODEL_GUESS: Duration = Duration::from_secs(10);
    /// The same weights are read from memory.
    const OPTIONS_GUESS: Duration = Duration::from_secs(5);

    /// A load has taken so long. One that was none teaches nothing; the first one of its kind replaces the guess,
    /// later ones count a quarter. A cold load reads the same weights as a swap of models.
    pub fn learn(&mut self, swap: Swap, took: Duration) {
        if took < COST_MIN {
            return;
        }
        let took = took.min(COST_MAX);
        let mean = match swap {
            Swap::Cold | Swap::Model => &mut self.model,
            Swap::Options => &mut self.options,
        };
        *mean = Some(moved(*mean, took));
    }

    /// What a load of this kind is expected to take.
    #[must_use]
    pub fn of(&self, swap: Swap) -> Duration {
        match swap {
            Swap::Cold | Swap::Model => self.model.unwrap_or(Self::MODEL_GUESS),
            Swap::Options => self.options.unwrap_or(Self::OPTIONS_GUESS),
        }
    }
}

/// An exponentially weighted mean, of which the last one counts a quarter. The first one is the mean.
pub(crate) fn moved(mean: Option<Duration>, last: Duration) -> Duration {
    mean.map_or(last, |mean| (mean * 3 + last) / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_load_replaces_the_guess_and_later_ones_move_the_mean() {
        let mut cost = SwapCost::default();
        assert_eq!((cost.of(Swap::Model), cost.of(Swap::Options)), (s(10), s(5)));
        cost.learn(Swap::Cold, s(20));
        assert_eq!((cost.of(Swap::Model), cost.of(Swap::Options)), (s(20), s(5)));
        cost.learn(Swap::Model, s(40));
        assert_eq!(cost.of(Swap::Model), s(25));
        cost.learn(Swap::Options, s(2));
        assert_eq!((cost.of(Swap::Cold), cost.of(Swap::Options)), (s(25), s(2)));
    }

    #[test]
    fn nothing_is_learnt_from_a_load_that_was_none_and_not_too_much_from_one_that_was_stuck() {
        let mut cost = SwapCost::default();
        cost.learn(Swap::Model, COST_MIN / 2);
        assert_eq!(cost, SwapCost::default());
        cost.learn(Swap::Model, COST_MIN);
        assert_eq!(cost.of(Swap::Model), COST_MIN);
        cost.learn(Swap::Options, Duration::MAX);
        assert_eq!(cost.of(Swap::Options), COST_MAX);
    }
}
