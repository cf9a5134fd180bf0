//! Flows under fire: many stories in which everything may happen at any time, and ends that race.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use roughneck_jobs::{
    flow::need::{Standing, standing},
    id::JobId,
    input_key::ConcurrencyKey,
    job::{DeadLetters, Job},
    ports::store::Verdict,
    run::Run,
    state::State,
};

use super::planted::{Planted, fatal, flow};
use crate::given::{World, at, done, retry};

/// Numbers that look like chance and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// A graph without circles: a job needs earlier ones.
fn lines(dice: &mut Dice) -> Vec<String> {
    let count = 2 + dice.below(9);
    let line = |n: usize| {
        let needs: BTreeSet<usize> = (0..dice.below(4)).map(|_| dice.below(n.max(1))).collect();
        let needs = needs.into_iter().filter(|needed| *needed < n);
        let need = |needed: usize| format!("j{needed}{}", ["", "?", "~"][dice.below(3)]);
        format!("j{n}: {}", needs.map(need).collect::<Vec<_>>().join(" "))
    };
    (0..count).map(line).collect()
}

/// What is seen of a flow in the course of its story.
#[derive(Default)]
struct Seen {
    /// Whether the jobs share a concurrency key, and may be parked.
    has_key: bool,
    /// Those that wait for others or are over.
    unready: BTreeSet<JobId>,
    runs: BTreeMap<JobId, Run>,
}

impl Seen {
    /// Checks what must be true of a flow at every commit, and of each move of a job.
    async fn check(&mut self, world: &World, flow: &Planted, story: &str) {
        let parts = world.parts(flow.id).await.unwrap();
        let states: BTreeMap<JobId, State> =
            parts.iter().map(|part| (part.job.id, part.job.state)).collect();
        for part in &parts {
            let (job, state) = (part.job.id, part.job.state);
            let member = part.job.member.clone().unwrap();
            let stands = |of: Standing| {
                let needed = |id: JobId| states.get(&id).copied();
                let needs = part.needs.iter();
                needs.filter(|need| standing(needed(need.job), need.on_failure) == of).count()
            };
            let name = &member.name;
            if state == State::Blocked && member.waits == 0 {
                assert!(self.has_key, "{story}: {name} is blocked for nothing");
            } else if state == State::Blocked {
                assert_eq!(stands(Standing::Broken), 0, "{story}: {name} should have failed");
                assert_eq!(member.waits as usize, stands(Standing::Open), "{story}: {name}");
            } else {
                assert_eq!(member.waits, 0, "{story}: {name}");
            }
            let is_ready = matches!(state, State::Queued | State::Scheduled);
            if is_ready && self.unready.contains(&job) {
                assert_eq!(stands(Standing::Open), 0, "{story}: {name} is released too early");
            }
            let runs = self.runs.contains_key(&job);
            assert!(!runs || state.is_running(), "{story}: {name} is {state:?}");
        }
        // A parked job was released before.
        let is_unready = |job: &Job| {
            job.state.is_terminal() || job.member.as_ref().is_some_and(|member| member.waits > 0)
        };
        let unready = parts.iter().filter(|part| is_unready(&part.job));
        self.unready = unready.map(|part| part.job.id).collect();
    }
}

/// One thing that may happen to a flow.
async fn happen(world: &World, flow: &Planted, runs: &mut BTreeMap<JobId, Run>, dice: &mut Dice) {
    let parts = world.parts(flow.id).await.unwrap();
    let ids: Vec<JobId> = parts.iter().map(|part| part.job.id).collect();
    let any = ids[dice.below(ids.len())];
    match dice.below(12) {
        0..3 => {
            for claimed in world.claim_at(1 + dice.below(3) as u32, at(1)).await {
                runs.insert(claimed.run.job, claimed.run);
            }
        }
        3..8 => {
            if let Some(run) = runs.values().nth(dice.below(runs.len().max(1))).copied() {
                runs.remove(&run.job);
                let verdict = match dice.below(5) {
                    0 => fatal(),
                    1 => retry(0),
                    2 => Verdict::Cancel { failure: crate::given::failure() },
                    _ => done(),
                };
                world.end(run, verdict, at(2)).await;
                world.promote(at(2), 100).await.unwrap();
            }
        }
        8 => {
            world.cancel(any, at(2)).await.unwrap();
            runs.remove(&any);
        }
        9 => drop(world.retry(any, at(2)).await.unwrap()),
        10 => match dice.below(4) {
            0 => {
                world.cancel_flow(flow.id, at(2)).await.unwrap();
                runs.clear();
            }
            1 => drop(world.retry_flow(flow.id, at(2)).await.unwrap()),
            2 => drop(world.retry_many(DeadLetters::default(), 3, at(2)).await.unwrap()),
            _ => {
                world.recover(at(2)).await.unwrap();
                runs.clear();
            }
        },
        _ => {
            assert_eq!(world.mend_waits(at(2), 9).await.unwrap(), [], "there is nothing to mend");
            let before = world.get_flow(flow).await;
            let is_over = before.tallies.iter().all(|tally| tally.state.is_terminal());
            let purged = world.purge(DeadLetters::default(), 0).await.unwrap().jobs;
            assert!(is_over || purged == 0, "a job of a flow that is not over was deleted");
            assert!(purged <= 1);
        }
    }
}

/// Tells a story; a failing one is told again by its number.
async fn tell(seed: u64) {
    let world = World::new().await;
    let mut dice = Dice(seed);
    let lines = lines(&mut dice);
    let story = format!("story {seed}: {lines:?}");
    let mut new = flow(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let has_key = seed % 2 == 1;
    for job in new.jobs.iter_mut().filter(|_| has_key) {
        job.concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 1 });
    }
    let flow = world.plant_as(new).await;
    let mut seen = Seen { has_key, ..Seen::default() };
    for _ in 0..60 {
        if world.flow(flow.id).await.unwrap().is_none() {
            return;
        }
        happen(&world, &flow, &mut seen.runs, &mut dice).await;
        seen.check(&world, &flow, &story).await;
    }
    // Whatever was done to it: left alone, it ends.
    for run in seen.runs.into_values() {
        world.end(run, done(), at(3)).await;
    }
    world.finish_all(at(4)).await;
    for part in world.parts(flow.id).await.unwrap() {
        let state = part.job.state;
        assert!(state.is_terminal(), "{story}: {:?} is {state:?}", part.job.member);
    }
}

#[tokio::test]
async fn no_story_lets_a_job_run_early_wait_for_ever_or_go_too_soon() {
    for seed in 0..40 {
        tell(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ends_that_race_every_one_is_counted_once() {
    let world = Arc::new(World::wide().await);
    let names: Vec<String> = (0..64).map(|n| format!("child{n}")).collect();
    let last = format!("last: {}", names.join(" "));
    let mut lines: Vec<&str> = names.iter().map(String::as_str).collect();
    lines.push(&last);
    for round in 0..10 {
        let flow = world.plant(&lines).await;
        let runs = world.claim_all(at(1)).await;
        let tasks: Vec<_> = runs
            .into_values()
            .map(|run| {
                let world = world.clone();
                tokio::spawn(async move { world.end(run, done(), at(2)).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let states = world.states(flow.job("last")).await;
        assert_eq!(states, [State::Blocked, State::Queued], "round {round}");
        world.finish_all(at(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_while_what_it_needs_ends_is_cancelled_or_released_and_never_lost()
{
    let world = Arc::new(World::wide().await);
    for _ in 0..50 {
        let flow = Arc::new(world.plant(&["a", "b: a", "c: b?"]).await);
        let run = world.claim_all(at(1)).await[&flow.job("a")];
        let (one, two) = (world.clone(), world.clone());
        let b = flow.job("b");
        let ends = tokio::spawn(async move { one.end(run, done(), at(2)).await });
        let cancels = tokio::spawn(async move { two.cancel(b, at(2)).await.unwrap() });
        ends.await.unwrap();
        cancels.await.unwrap();
        assert_eq!(world.told(&flow).await, "a=done b=cancelled c=queued");
        world.finish_all(at(3)).await;
    }
}
