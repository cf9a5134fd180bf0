//! What may happen to one call of the store.

use crate::Dice;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: it is made and answered.
    None,
    /// It is made so many milliseconds later, longer than a lease at the worst.
    Stall(u64),
    /// It is refused, as by a full disk.
    Refuse,
    /// The host dies before it is made.
    CrashBefore,
    /// It is made, and the host dies before it hears of it.
    CrashAfter,
}

/// Draws the trouble of call number `call` in a life that ends at call number `crash_at`.
pub(crate) fn draw(dice: &mut Dice, call: u64, crash_at: u64) -> Trouble {
    if call >= crash_at {
        return if dice.per_mille(500) { Trouble::CrashBefore } else { Trouble::CrashAfter };
    }
    match dice.between(0, 1_000) {
        0..10 => Trouble::Stall(dice.between(100, 5_000)),
        10..14 => Trouble::Stall(dice.between(20_000, 90_000)),
        14..30 => Trouble::Refuse,
        _ => Trouble::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_ends_at_its_call_and_every_trouble_comes_up() {
        let mut dice = Dice::new(3);
        let drawn: Vec<_> = (0..2_000).map(|call| draw(&mut dice, call, 1_990)).collect();
        assert!(drawn[..1_990].contains(&Trouble::Refuse));
        assert!(drawn[..1_990].iter().any(|one| matches!(one, Trouble::Stall(60_000..))));
        let crashes = [Trouble::CrashBefore, Trouble::CrashAfter];
        assert!(drawn[1_990..].iter().all(|one| crashes.contains(one)));
        assert!(drawn[..1_990].iter().all(|one| !crashes.contains(one)));
        assert!(crashes.iter().all(|one| drawn.contains(one)));
    }
}
