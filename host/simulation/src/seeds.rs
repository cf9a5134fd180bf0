//! Which seeds are played, and how to play one again.

use std::ops::Range;

/// One seed, instead of the usual ones.
const ONE: &str = "ROUGHNECK_SEED";

/// A range of seeds, such as `1000..2000`.
const MANY: &str = "ROUGHNECK_SEEDS";

/// The seeds to be played: `usual`, unless `ROUGHNECK_SEED` names one or `ROUGHNECK_SEEDS` a range of them.
///
/// # Errors
/// A sentence, if what they name are no seeds: to play others would prove nothing.
pub fn seeds(usual: Range<u64>) -> Result<Range<u64>, String> {
    choose(usual, std::env::var(ONE).ok().as_deref(), std::env::var(MANY).ok().as_deref())
}

/// The command that plays a seed again; `test` is what cargo is told to test.
#[must_use]
pub fn again(seed: u64, test: &str) -> String {
    format!("play it again with: {ONE}={seed} cargo test {test}")
}

fn choose(usual: Range<u64>, one: Option<&str>, many: Option<&str>) -> Result<Range<u64>, String> {
    match (one, many) {
        (Some(text), _) => match text.parse::<u64>() {
            Ok(seed) => Ok(seed..seed.saturating_add(1)),
            Err(_) => Err(format!("{ONE}=`{text}` is no number")),
        },
        (None, Some(text)) => {
            range(text).ok_or_else(|| format!("{MANY}=`{text}` is no range such as 1000..2000"))
        }
        (None, None) => Ok(usual),
    }
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    let seeds: Range<u64> = from.parse().ok()?..to.parse().ok()?;
    Some(seeds).filter(|seeds| !seeds.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_goes_before_a_range_and_a_range_before_the_usual_ones() {
        assert_eq!(choose(1..9, None, None), Ok(1..9));
        assert_eq!(choose(1..9, None, Some("100..200")), Ok(100..200));
        assert_eq!(choose(1..9, Some("17"), Some("100..200")), Ok(17..18));
        assert!(again(17, "-p x").ends_with("ROUGHNECK_SEED=17 cargo test -p x"));
    }

    #[test]
    fn what_is_no_seed_is_not_taken_for_the_usual_ones() {
        assert!(choose(1..9, Some("1O7"), Some("100..200")).unwrap_err().contains("`1O7`"));
        for many in ["many", "9..9", "200..100", "1.."] {
            assert!(choose(1..9, None, Some(many)).unwrap_err().contains(many));
        }
    }
}
