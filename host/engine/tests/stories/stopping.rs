//! Stopping and starting.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{ports::control::Control as _, state::State};

use crate::world::{Act, World};

const ACT: &str = r#"{"kind":"act"}"#;

/// Of a class with one slot.
const THINK: &str = r#"{"kind":"think"}"#;

#[tokio::test(start_paused = true)]
async fn a_job_that_finishes_within_the_limit_is_waited_for_and_nothing_new_begins() {
    let world = World::start([Act::Work(Duration::from_secs(5))]).await;
    let running = world.submit(ACT).await;
    world.actors.begun.notified().await;
    world.engine.begin_stop();
    assert!(world.engine.is_stopping());
    let waiting = world.submit(ACT).await;
    world.engine.stop(Duration::from_secs(30)).await;
    assert_eq!(world.state(running), State::Done);
    assert_eq!(world.state(waiting), State::Queued);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_does_not_finish_in_time_goes_back_with_its_attempt() {
    let world = World::start([Act::Work(Duration::from_secs(3_000))]).await;
    let id = world.submit(ACT).await;
    world.actors.begun.notified().await;
    world.engine.stop(Duration::from_secs(30)).await;
    let job = world.row(id);
    assert_eq!((job.state, job.attempt, job.losses), (State::Queued, 0, 0));
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_handed_out_with_the_end_of_another_goes_back_when_no_run_is_waited_for() {
    let forever = Act::Work(Duration::from_secs(3_000));
    let world = World::start([Act::Work(Duration::from_secs(1)), forever]).await;
    let first = world.submit(THINK).await;
    world.actors.begun.notified().await;
    let next = world.submit(THINK).await;
    world.store.hold_claims(true);
    world.until(first, State::Done).await;
    assert_eq!(world.state(next), State::Working);
    let hear_of_it = async {
        world.pass(Duration::from_secs(60)).await;
        world.store.hold_claims(false);
    };
    tokio::join!(world.engine.stop(Duration::from_secs(30)), hear_of_it);
    let job = world.row(next);
    assert_eq!((job.state, job.attempt, job.losses), (State::Queued, 0, 0));
}
