//! What the client does, and when the hosts die.

use crate::Dice;

/// The kinds of the simulated plugin, and what they compete for; `actors.rs` has their manifest.
const KINDS: [&str; 6] = ["act", "act", "think", "turn", "pair", "once"];

/// A job that the client will submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) kind: &'static str,
    /// Its concurrency or unique key.
    pub(crate) key: u64,
    pub(crate) priority: u64,
    pub(crate) wait_ms: u64,
    pub(crate) has_callback: bool,
    /// The wish whose idempotency key it has, its own included.
    pub(crate) key_of: Option<usize>,
}

/// A step of the client. Wishes are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Also of one that was submitted before: the same id again.
    Submit(usize),
    Cancel(usize),
    Retry(usize),
    RetryDead,
    PurgeDead,
    /// A kind, for so many milliseconds.
    Pause(&'static str, u64),
    Resume(&'static str),
    Pass(u64),
    /// The machine sleeps for so many milliseconds.
    Sleep(u64),
    /// Every run that was followed by another one tries to write, as if it had slept all the while.
    Zombies,
}

/// One host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// It dies at this call of the store; the last one lives.
    pub(crate) crash_at: Option<u64>,
    /// Until the next one starts.
    pub(crate) down_ms: u64,
}

/// A whole story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) wishes: Vec<Wish>,
    pub(crate) steps: Vec<Step>,
    pub(crate) lives: Vec<Life>,
}

impl Script {
    /// The story of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::of(&[seed, 2]);
        let (mut wishes, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..dice.between(30, 90) {
            let step = step(&mut dice, &mut wishes);
            steps.push(step);
        }
        let crashes = dice.between(2, 8);
        let mut lives: Vec<Life> = (0..crashes).map(|_| life(&mut dice)).collect();
        lives.push(Life { crash_at: None, down_ms: 0 });
        Self { wishes, steps, lives }
    }
}

fn life(dice: &mut Dice) -> Life {
    // Many die young: while they recover what the one before left.
    let most = if dice.per_mille(300) { 12 } else { 250 };
    let down_ms = if dice.per_mille(200) { 90_000 } else { 500 };
    Life { crash_at: Some(dice.between(1, most)), down_ms: dice.between(0, down_ms) }
}

fn step(dice: &mut Dice, wishes: &mut Vec<Wish>) -> Step {
    let roll = dice.between(0, 100);
    if wishes.is_empty() || roll < 45 {
        wishes.push(wish(dice, wishes));
        return Step::Submit(wishes.len() - 1);
    }
    let any = usize::try_from(dice.between(0, wishes.len() as u64)).unwrap_or(0);
    match roll {
        45..50 => Step::Submit(any),
        50..58 => Step::Cancel(any),
        58..64 => Step::Retry(any),
        64..66 => Step::RetryDead,
        66..68 => Step::PurgeDead,
        68..71 => Step::Pause(kind(dice), dice.between(1_000, 120_000)),
        71..74 => Step::Resume(kind(dice)),
        74..75 => Step::Sleep(dice.between(1_000, 4_000_000)),
        75..79 => Step::Pass(dice.between(0, 120_000)),
        79..86 => Step::Zombies,
        _ => Step::Pass(dice.between(0, 3_000)),
    }
}

fn wish(dice: &mut Dice, before: &[Wish]) -> Wish {
    let twins = before.iter().filter(|wish| wish.key_of.is_some()).count() as u64;
    if twins > 0 && dice.per_mille(80) {
        let which = usize::try_from(dice.between(0, twins)).unwrap_or(0);
        let twin = before.iter().filter(|wish| wish.key_of.is_some()).nth(which);
        if let Some(twin) = twin {
            return twin.clone();
        }
    }
    Wish {
        kind: kind(dice),
        key: dice.between(0, 3),
        priority: dice.between(0, 101),
        wait_ms: if dice.per_mille(200) { dice.between(1, 60_000) } else { 0 },
        has_callback: dice.per_mille(400),
        key_of: dice.per_mille(200).then_some(before.len()),
    }
}

fn kind(dice: &mut Dice) -> &'static str {
    let which = usize::try_from(dice.roll() % KINDS.len() as u64).unwrap_or(0);
    KINDS.get(which).copied().unwrap_or("act")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_same_story_again_and_the_last_host_lives() {
        for seed in 0..200 {
            let script = Script::draw(seed);
            assert_eq!(script, Script::draw(seed));
            let (last, others) = script.lives.split_last().unwrap();
            assert_eq!(last.crash_at, None);
            assert!(others.len() >= 2 && others.iter().all(|life| life.crash_at.is_some()));
            assert!(matches!(script.steps[0], Step::Submit(0)));
        }
        assert_ne!(Script::draw(1).steps, Script::draw(2).steps);
    }
}
