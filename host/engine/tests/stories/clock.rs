//! A wall clock that is set while jobs run. What it means for schedules is told with them.

use std::time::Duration;

use roughneck_jobs::{failure::Failure, state::State};

use crate::world::{Act, World};

const ACT: &str = r#"{"kind":"act"}"#;
const HOUR: Duration = Duration::from_secs(3_600);

/// A run of two minutes, during which `set` sets the clock.
async fn assert_run_is_kept(set: impl FnOnce(&World)) {
    let world = World::start([Act::Work(Duration::from_secs(120))]).await;
    let id = world.submit(ACT).await;
    world.actors.begun.notified().await;
    set(&world);
    // It wakes the sweeper before any heartbeat, and must not wait for the clock itself.
    let other = world.submit(ACT).await;
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.state(other), State::Done);
    world.pass(Duration::from_secs(120)).await;
    let job = world.row(id);
    assert_eq!((job.state, job.losses, job.attempt), (State::Done, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_by_an_hour_loses_no_run() {
    assert_run_is_kept(|world| world.time.jump(HOUR)).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_by_an_hour_loses_no_run() {
    assert_run_is_kept(|world| world.time.set_back(HOUR)).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_the_clock_was_set_back_waits_its_delay_and_no_more() {
    let fails =
        [Act::Work(Duration::from_secs(30)), Act::Fail(Failure::retry("unavailable", "no"))];
    let world = World::start(fails).await;
    let (_, id) = (world.submit(ACT).await, world.submit(ACT).await);
    world.time.set_back(HOUR);
    world.until(id, State::Scheduled).await;
    world.pass(Duration::from_secs(11)).await;
    assert_eq!(world.state(id), State::Done);
}
