//! Which seeds are played, and how to play one again.

use std::ops::Range;

/// One seed, instead of the usual ones.
const ONE: &str = "ROUGHNECK_SEED";

/// A range of seeds, such as `1000..2000`.
const MANY: &str = "ROUGHNECK_SEEDS";

/// The seeds to be played: `usual`, unless `ROUGHNECK_SEED` names one or `ROUGHNECK_SEEDS` a range of them.
#[must_use]
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    choose(usual, std::env::var(ONE).ok().as_deref(), std::env::var(MANY).ok().as_deref())
}

/// The command that plays a seed again; `test` is what cargo is told to test.
#[must_use]
pub fn again(seed: u64, test: &str) -> String {
    format!("play it again with: {ONE}={seed} cargo test {test}")
}

fn choose(usual: Range<u64>, one: Option<&str>, many: Option<&str>) -> Range<u64> {
    if let Some(seed) = one.and_then(|text| text.parse::<u64>().ok()) {
        return seed..seed.saturating_add(1);
    }
    many.and_then(range).unwrap_or(usual)
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_goes_before_a_range_and_a_range_before_the_usual_ones() {
        assert_eq!(choose(1..9, None, None), 1..9);
        assert_eq!(choose(1..9, None, Some("100..200")), 100..200);
        assert_eq!(choose(1..9, Some("17"), Some("100..200")), 17..18);
        assert_eq!(choose(1..9, Some("seventeen"), Some("many")), 1..9);
        assert!(again(17, "-p x").ends_with("ROUGHNECK_SEED=17 cargo test -p x"));
    }
}
