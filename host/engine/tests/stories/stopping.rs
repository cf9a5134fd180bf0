//! Stopping and starting.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{ports::control::Control as _, state::State};

use crate::world::{Act, World};

const ACT: &str = r#"{"kind":"act"}"#;

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
