//! Dice that fall the same way for the same seed.

/// SplitMix64: good enough to draw arrivals.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in `0.0..1.0`.
    pub(super) fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A span with this mean, as they lie between events that know nothing of each other.
    pub(super) fn span(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }

    /// One of the choices, by their weights.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: [(T, f64); N]) -> Option<T> {
        let mut left = self.fraction() * choices.iter().map(|(_, weight)| weight).sum::<f64>();
        for (choice, weight) in choices {
            left -= weight;
            if left < 0.0 {
                return Some(choice);
            }
        }
        choices.last().map(|(choice, _)| *choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_day_again_and_the_means_are_kept() {
        let mean = |seed| {
            let mut dice = Dice::new(seed);
            (0..10_000).map(|_| dice.span(17.0)).sum::<f64>() / 10_000.0
        };
        assert!((mean(1) - mean(1)).abs() < f64::EPSILON);
        assert!((16.5..17.5).contains(&mean(1)), "{}", mean(1));
        let mut dice = Dice::new(1);
        let often = (0..10_000).filter(|_| dice.pick([(true, 3.0), (false, 1.0)]) == Some(true));
        assert!((7300..7700).contains(&often.count()));
    }
}
