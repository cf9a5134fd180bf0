//! Jobs that wait for each other.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{failure::Failure, ports::control::Control as _, state::State};

use crate::world::{Act, World};

/// `last` needs `first`, and its input is what `first` returned.
const TWO: &str = r#"{"jobs":[
    {"name":"first","kind":"act","input":{"n": 1.0}},
    {"name":"last","kind":"act","needs":["first"],"input":{"got":{"$result":"first","at":"/n"}}}]}"#;

#[tokio::test(start_paused = true)]
async fn a_job_runs_after_what_it_needs_and_finds_the_result_in_its_input() {
    let world = World::start([Act::Echo, Act::Echo]).await;
    let (_, ids) = world.submit_flow(TWO).await;
    world.until(ids[1], State::Done).await;
    assert_eq!(world.row(ids[1]).output.as_deref(), Some(r#"{"got":1.0}"#));
    assert_eq!(world.actors.at_once("io"), 1, "one after the other");
    let kept = world.row(ids[1]).input;
    assert!(kept.contains("$result"), "what was submitted is kept as it is");
}

#[tokio::test(start_paused = true)]
async fn every_attempt_finds_the_result() {
    let flaky = Act::Fail(Failure::retry("unavailable", "not now"));
    let world = World::start([Act::Echo, flaky, Act::Echo]).await;
    let (_, ids) = world.submit_flow(TWO).await;
    world.until(ids[1], State::Done).await;
    let last = world.row(ids[1]);
    assert_eq!((last.attempt, last.output.as_deref()), (2, Some(r#"{"got":1.0}"#)));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_there_is_a_dead_letter_at_once_and_the_plugin_never_runs() {
    let world = World::start([Act::Succeed]).await;
    let (_, ids) = world.submit_flow(TWO).await;
    world.until(ids[1], State::Failed).await;
    let last = world.row(ids[1]);
    assert_eq!(
        (last.attempt, last.failure.unwrap().code.as_str()),
        (1, "dependency-result-missing")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_fails_what_needs_it_or_something_stands_in() {
    let broken = Act::Fail(Failure::fatal("broken", "it broke"));
    let world = World::start([broken.clone()]).await;
    let (_, ids) = world.submit_flow(TWO).await;
    world.until(ids[1], State::Failed).await;
    assert_eq!(world.row(ids[1]).failure.unwrap().code, "dependency-failed");

    let world = World::start([broken, Act::Echo]).await;
    let (_, ids) = world
        .submit_flow(
            r#"{"jobs":[
                {"name":"segment","kind":"act"},
                {"name":"letter","kind":"act","needs":[{"job":"segment","on_failure":"continue"}],
                 "input":[{"$result":"segment","else":"none"}]}]}"#,
        )
        .await;
    world.until(ids[1], State::Done).await;
    assert_eq!(world.row(ids[1]).output.as_deref(), Some(r#"["none"]"#));
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_read_for_a_moment_burn_no_attempt() {
    let world = World::start([Act::Echo, Act::Echo]).await;
    world.store.break_reads(3);
    let (_, ids) = world.submit_flow(TWO).await;
    world.until(ids[1], State::Done).await;
    assert_eq!(world.row(ids[1]).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_flow_stops_its_runs_at_once() {
    let world = World::start([Act::Work(Duration::from_secs(3_000))]).await;
    let (flow, ids) = world.submit_flow(TWO).await;
    world.actors.begun.notified().await;
    let cancelled = world.engine.cancel_flow(flow).await.unwrap();
    assert_eq!((cancelled.jobs, cancelled.runs.len()), (2, 1));
    world
        .until_true("the run is dropped", || world.actors.dropped.load(Ordering::Relaxed) == 1)
        .await;
    for id in ids {
        assert_eq!(world.state(id), State::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_blocked_for_no_reason_is_mended_within_a_day() {
    let world = World::start([]).await;
    // The look at the start has been.
    world.pass(Duration::from_millis(10)).await;
    let (_, ids) = world.submit_flow(&TWO.replace(r#"{"$result":"first","at":"/n"}"#, "1")).await;
    world.store.miscount(ids[1]);
    world.until(ids[0], State::Done).await;
    world.pass(Duration::from_secs(3_600)).await;
    assert_eq!(world.state(ids[1]), State::Blocked);
    world.until(ids[1], State::Done).await;
}
