//! Jobs that submit jobs and wait for them.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{ports::control::Control as _, state::State};

use crate::world::{Act, CALL, World};

const ACT: &str = r#"{"kind":"act"}"#;
const THINK: &str = r#"{"kind":"think"}"#;

#[tokio::test(start_paused = true)]
async fn a_parent_waits_without_the_slot_that_its_children_need() {
    let gather = Act::Gather("think", 3);
    let world = World::start([gather.clone(), Act::Echo, Act::Echo, Act::Echo, gather]).await;
    let id = world.submit(THINK).await;
    world.until(id, State::Done).await;
    let job = world.store.look(id).unwrap();
    assert_eq!((job.attempt, job.output.as_deref()), (1, Some("0,1,2")));
    assert_eq!(world.actors.at_once("ollama"), 1);
    assert_eq!(world.store.ids().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_model_answers_elsewhere_takes_no_slot_of_the_gpu() {
    let world =
        World::start([Act::Gather("ollama.call", 1), Act::Echo, Act::Gather("ollama.call", 1)])
            .await;
    let id = world.submit(ACT).await;
    world.until(id, State::Done).await;
    assert_eq!(world.actors.at_once("ollama"), 0);
    assert_eq!(world.store.look(id).unwrap().output.as_deref(), Some(CALL));
}

#[tokio::test(start_paused = true)]
async fn a_child_is_for_whom_its_parent_is_for() {
    let gather = || Act::Gather("think", 1);
    let world = World::start([gather(), Act::Echo, gather()]).await;
    let id = world.submit(r#"{"kind":"act","caller":"alice"}"#).await;
    world.until(id, State::Done).await;
    let callers: Vec<_> = world.store.ids().into_iter().map(|id| world.row(id).caller).collect();
    assert_eq!(callers, [Some("alice".parse().unwrap()), Some("alice".parse().unwrap())]);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_runs_again_after_its_host_has_stopped_has_the_same_children() {
    let gather = || Act::Gather("think", 2);
    let slow = Act::Work(Duration::from_secs(60));
    let mut world = World::start([gather(), Act::Echo, slow, Act::Echo, gather()]).await;
    let id = world.submit(ACT).await;
    world
        .until_true("one child is done", || {
            let states = world.store.ids().into_iter().map(|id| world.state(id));
            states.filter(|state| *state == State::Done).count() == 1
        })
        .await;
    world.restart().await;
    world.until(id, State::Done).await;
    assert_eq!(world.store.look(id).unwrap().output.as_deref(), Some("0,1"));
    assert_eq!(world.store.ids().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_runs_of_children_are_stopped_at_once_when_their_parent_is_cancelled() {
    let slow = Act::Work(Duration::from_secs(3_600));
    let world = World::start([Act::Gather("act", 2), slow.clone(), slow]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Blocked).await;
    world.until_true("both children work", || world.actors.at_once("io") == 2).await;
    world.engine.cancel(id).await.unwrap();
    world.pass(Duration::from_millis(100)).await;
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 2);
    // It is no accident that they have lost their jobs.
    assert_eq!(world.attempts_that("cancelled"), 2);
    assert_eq!(world.attempts_that("fenced"), 0);
    for id in world.store.ids() {
        assert_eq!(world.state(id), State::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_submit_each_other_come_to_an_end() {
    let world = World::start(vec![Act::Gather("act", 1); 40]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Done).await;
    assert_eq!(world.store.ids().len(), 17, "the first one, and sixteen below it");
    let failures =
        world.store.ids().into_iter().filter_map(|id| world.store.look(id).unwrap().failure);
    let failures: Vec<_> = failures.map(|failure| failure.message).collect();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("at depth 17") && failures[0].contains("the limit is 16"));
}

#[tokio::test(start_paused = true)]
async fn a_child_of_a_kind_that_is_not_there_is_refused_with_the_one_that_was_meant() {
    let world = World::start([Act::Gather("thinc", 1)]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Failed).await;
    let message = world.store.look(id).unwrap().failure.unwrap().message;
    assert_eq!(message, "no installed plugin serves the kind `thinc`; did you mean `think`?");
}
