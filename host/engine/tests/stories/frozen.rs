//! A host that is frozen for longer than a lease, as by `SIGSTOP` or with its virtual machine: its clocks go on, it does not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use roughneck_jobs::{
    clock::Clock as _,
    id::JobId,
    ports::{
        control::Control as _,
        runner::{Outcome, Standing},
    },
    run::LEASE_MS,
    state::State,
    usage::Usage,
};
use tokio::time::advance;

use crate::world::{Act, World};

const ACT: &str = r#"{"kind":"act"}"#;

/// Longer than a lease.
const FROZEN: Duration = Duration::from_millis(LEASE_MS + 10_000);

/// A run that is under way for so long when its host is frozen.
async fn frozen_after(begun: Duration, act: Act) -> (World, JobId) {
    let world = World::start([act]).await;
    let id = world.submit(ACT).await;
    world.actors.begun.notified().await;
    world.pass(begun).await;
    (world, id)
}

#[tokio::test(start_paused = true)]
async fn its_runs_go_on_where_nobody_else_has_their_jobs() {
    // Whether the heartbeat wakes before the run or after it.
    for begun_s in [1, 15, 19] {
        let act = Act::Work(Duration::from_secs(120));
        let (world, id) = frozen_after(Duration::from_secs(begun_s), act).await;
        advance(FROZEN).await;
        world.until(id, State::Done).await;
        let job = world.row(id);
        assert_eq!((job.attempt, job.losses, job.failure), (1, 0, None));
        assert_eq!(["done", "retry", "fenced"].map(|end| world.attempts_that(end)), [1, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_would_cause_something_meanwhile_waits_for_the_word_of_the_store() {
    let world = World::start([]).await;
    let attended = world.engine.attend(world.job(ACT));
    attended.begin();
    world.engine.written(attended.id()).await;
    world.until(attended.id(), State::Working).await;
    let supervisor = attended.supervisor();
    world.store.hold_renewals(true);
    advance(FROZEN).await;
    // What costs nothing goes on.
    assert_eq!(supervisor.standing(), Standing::Held);
    let asks = Arc::clone(&supervisor);
    let asked = tokio::spawn(async move { asks.confirmed().await });
    world.pass(Duration::from_secs(3)).await;
    assert!(!asked.is_finished());
    world.store.hold_renewals(false);
    world.until_true("it is told", || asked.is_finished()).await;
    assert_eq!(asked.await.unwrap(), Standing::Held);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_job_meanwhile_is_told_so_before_it_causes_anything() {
    let world = World::start([]).await;
    let attended = world.engine.attend(world.job(ACT));
    attended.begin();
    world.engine.written(attended.id()).await;
    world.until(attended.id(), State::Working).await;
    world.store.steal(attended.id(), world.time.now()).unwrap();
    advance(FROZEN).await;
    assert_eq!(attended.supervisor().confirmed().await, Standing::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_lease_cannot_be_renewed_is_a_loss_and_no_failure_of_its_plugin() {
    let act = Act::Work(Duration::from_secs(30));
    let (world, id) = frozen_after(Duration::from_secs(15), act).await;
    world.store.break_renewals(4);
    advance(FROZEN).await;
    // At once, not when a lease that was renewed meanwhile ends.
    world.pass(Duration::from_secs(2)).await;
    let job = world.row(id);
    assert_eq!((job.losses, job.failure), (1, None));
    world.until(id, State::Done).await;
    let job = world.row(id);
    assert_eq!((job.attempt, job.losses, job.failure), (1, 1, None));
    assert_eq!(world.attempts_that("retry"), 0);
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_client_that_was_answered_is_written_down_as_it_ended() {
    let world = World::start([]).await;
    let attended = world.engine.attend(world.job(ACT));
    let id = attended.id();
    attended.begin();
    world.engine.written(id).await;
    world.until(id, State::Working).await;
    // It ends before the store has said anything.
    world.store.hold_renewals(true);
    advance(FROZEN).await;
    let paid = Usage { output_tokens: 7, ..Usage::default() };
    attended.supervisor().spent(&paid);
    attended.end(Outcome::Done { output: "{}".into() });
    drop(attended);
    world.until(id, State::Done).await;
    assert_eq!((world.row(id).usage, world.row(id).losses), (paid, 0));
}
