//! What the client does, and when the hosts die.

use roughneck_jobs::{
    flow::OnFailure,
    schedule::{Missed, Overlap},
};

use crate::Dice;

/// The kinds of the simulated plugin, and what they compete for; `actors.rs` has their manifest.
const KINDS: [&str; 6] = ["act", "act", "think", "turn", "pair", "once"];

/// Those of which a flow or a schedule may have several: without the unique one.
const FLOW_KINDS: [&str; 4] = ["act", "think", "turn", "pair"];

/// So few that a look sees all their jobs.
const SCHEDULES_MAX: usize = 4;

/// A job that the client will submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) kind: &'static str,
    /// Its concurrency or unique key.
    pub(crate) key: u64,
    pub(crate) priority: u64,
    pub(crate) wait_ms: u64,
    /// When it must be over, after its time has come.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) has_callback: bool,
    /// The wish whose idempotency key it has, its own included.
    pub(crate) key_of: Option<usize>,
}

/// A flow that the client will submit: its jobs, each with the earlier ones that it needs.
pub(crate) type FlowWish = Vec<(Wish, Vec<(usize, OnFailure)>)>;

/// A schedule that the client will make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleWish {
    pub(crate) kind: &'static str,
    pub(crate) expr: &'static str,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
}

/// What becomes of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Make,
    /// To one with this expression.
    Change(&'static str),
    Pause,
    Resume,
    Delete,
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
    /// Also of one that was submitted before.
    SubmitFlow(usize),
    CancelFlow(usize),
    RetryFlow(usize),
    Schedule(usize, Turn),
    PauseClass(&'static str, u64),
    ResumeClass(&'static str),
    /// A kind, for so many milliseconds.
    Pause(&'static str, u64),
    Resume(&'static str),
    Pass(u64),
    /// The machine sleeps for so many milliseconds.
    Sleep(u64),
    /// The host is frozen for so many milliseconds, and its clocks go on.
    Freeze(u64),
    /// Somebody sets the clock back by so many milliseconds.
    SetBack(u64),
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) wishes: Vec<Wish>,
    pub(crate) flows: Vec<FlowWish>,
    pub(crate) schedules: Vec<ScheduleWish>,
    pub(crate) steps: Vec<Step>,
    pub(crate) lives: Vec<Life>,
}

impl Script {
    /// The story of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::of(&[seed, 2]);
        let mut script = Self::default();
        for _ in 0..dice.between(30, 90) {
            let step = script.step(&mut dice);
            script.steps.push(step);
        }
        let crashes = dice.between(2, 8);
        let mut lives: Vec<Life> = (0..crashes).map(|_| life(&mut dice)).collect();
        lives.push(Life { crash_at: None, down_ms: 0 });
        Self { lives, ..script }
    }

    fn step(&mut self, dice: &mut Dice) -> Step {
        let roll = dice.between(0, 120);
        if self.wishes.is_empty() || roll < 40 {
            self.wishes.push(wish(dice, &self.wishes));
            return Step::Submit(self.wishes.len() - 1);
        }
        let any = place(dice, self.wishes.len());
        match roll {
            40..45 => Step::Submit(any),
            45..53 => Step::Cancel(any),
            53..59 => Step::Retry(any),
            59..61 => Step::RetryDead,
            61..63 => Step::PurgeDead,
            63..66 => Step::Pause(kind(dice), dice.between(1_000, 120_000)),
            66..69 => Step::Resume(kind(dice)),
            69..70 => Step::PauseClass(class(dice), dice.between(1_000, 60_000)),
            70..71 => Step::ResumeClass(class(dice)),
            71..83 => self.flow_step(dice),
            83..90 => self.schedule_step(dice),
            90..91 => Step::Sleep(dice.between(1_000, 4_000_000)),
            91..92 => Step::SetBack(dice.between(1_000, 900_000)),
            92..97 => Step::Pass(dice.between(0, 120_000)),
            97..101 => Step::Zombies,
            101..104 => Step::Freeze(dice.between(1_000, 150_000)),
            _ => Step::Pass(dice.between(0, 3_000)),
        }
    }

    fn flow_step(&mut self, dice: &mut Dice) -> Step {
        if self.flows.is_empty() || dice.per_mille(500) {
            self.flows.push(flow(dice));
            return Step::SubmitFlow(self.flows.len() - 1);
        }
        let any = place(dice, self.flows.len());
        match dice.between(0, 4) {
            0 => Step::SubmitFlow(any),
            1 => Step::CancelFlow(any),
            _ => Step::RetryFlow(any),
        }
    }

    fn schedule_step(&mut self, dice: &mut Dice) -> Step {
        if self.schedules.len() < SCHEDULES_MAX && dice.per_mille(600) {
            self.schedules.push(schedule(dice));
            return Step::Schedule(self.schedules.len() - 1, Turn::Make);
        }
        let any = place(dice, self.schedules.len());
        let turn = match dice.between(0, 6) {
            0 => Turn::Make,
            1 => Turn::Change(expr(dice)),
            2 => Turn::Pause,
            3..5 => Turn::Resume,
            _ => Turn::Delete,
        };
        Step::Schedule(any, turn)
    }
}

fn life(dice: &mut Dice) -> Life {
    // Many die young: while they recover what the one before left.
    let most = if dice.per_mille(300) { 12 } else { 250 };
    let down_ms = if dice.per_mille(200) { 90_000 } else { 500 };
    Life { crash_at: Some(dice.between(1, most)), down_ms: dice.between(0, down_ms) }
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
        deadline_ms: dice.per_mille(200).then(|| dice.between(1, 90_000)),
        has_callback: dice.per_mille(400),
        key_of: dice.per_mille(200).then_some(before.len()),
    }
}

/// A job may need any that come before it. Two jobs of a flow cannot have one unique key.
fn flow(dice: &mut Dice) -> FlowWish {
    let count = dice.between(2, 6);
    let one = |n: u64, dice: &mut Dice| {
        let wish = Wish { kind: one_of(dice, &FLOW_KINDS), key_of: None, ..wish(dice, &[]) };
        let needed = (0..n).filter(|_| dice.per_mille(600)).collect::<Vec<_>>();
        let need = |needed: u64| {
            let rules = [OnFailure::Fail, OnFailure::Continue, OnFailure::Ignore];
            let rule = rules.get(place(dice, rules.len())).copied().unwrap_or_default();
            (usize::try_from(needed).unwrap_or(0), rule)
        };
        (wish, needed.into_iter().map(need).collect())
    };
    (0..count).map(|n| one(n, dice)).collect()
}

/// Half of them make up for everything, whatever else runs: of these no fire may be missing.
fn schedule(dice: &mut Dice) -> ScheduleWish {
    let (missed, overlap) = match dice.between(0, 4) {
        0 => (Missed::Skip, Overlap::Skip),
        1 => (Missed::Once, Overlap::Queue),
        _ => (Missed::All, Overlap::Queue),
    };
    ScheduleWish { kind: one_of(dice, &FLOW_KINDS), expr: expr(dice), missed, overlap }
}

fn expr(dice: &mut Dice) -> &'static str {
    one_of(dice, &["@every 5m", "*/5 * * * *", "@every 7m", "3 * * * *"])
}

fn class(dice: &mut Dice) -> &'static str {
    one_of(dice, &["io", "ollama"])
}

/// One of so many.
fn place(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.between(0, count as u64)).unwrap_or(0)
}

fn one_of(dice: &mut Dice, names: &[&'static str]) -> &'static str {
    names.get(place(dice, names.len())).copied().unwrap_or("act")
}

fn kind(dice: &mut Dice) -> &'static str {
    one_of(dice, &KINDS)
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
