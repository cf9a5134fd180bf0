//! The rules for whose call could be next, on the same simulated days: `cargo xtask bench lane`.
//!
//! What it does: [`trace`] draws the calls of a day from a seed, [`day`] runs them one at a time under
//! each [`rule`], of which one is the lane's real planner, and [`report`] compares them. Nothing is
//! measured, so it prints the same every time.
//!
//! To try another rule, add a variant to [`rule::Rule`].

mod day;
mod dice;
mod report;
mod rule;
mod trace;

/// The days that are simulated.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// Runs all days, and says what came of them.
pub(crate) fn simulate() -> String {
    report::Figures::of(&SEEDS).render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planner_meets_its_targets() {
        for target in report::Figures::of(&SEEDS[..2]).targets() {
            assert_eq!(target.is_met(), Some(true), "{target:?}");
        }
    }
}
