//! Ended jobs, after a while.

use std::time::Duration;

use roughneck_engine::Retention;
use roughneck_jobs::{
    failure::Failure,
    id::JobId,
    ports::{control::Control as _, courier::NotDelivered},
    state::State,
};

use crate::world::{Act, World};

const ACT: &str = r#"{"kind":"act"}"#;
const DAY: Duration = Duration::from_secs(86_400);
/// Longer than between two looks for what is old.
const A_LOOK: Duration = Duration::from_secs(660);

/// A job that failed, one that was cancelled, and one that is done.
async fn one_of_each(world: &World) -> [JobId; 3] {
    let failed = world.submit(ACT).await;
    world.until(failed, State::Failed).await;
    let cancelled = world.submit(r#"{"kind":"act","run_at":1800100000000}"#).await;
    world.engine.cancel(cancelled).await.unwrap();
    let done = world.submit(ACT).await;
    world.until(done, State::Done).await;
    [failed, cancelled, done]
}

fn fatal() -> Act {
    Act::Fail(Failure::fatal("broken", "it broke"))
}

async fn later(world: &World, by: Duration) {
    world.time.jump(by);
    world.pass(A_LOOK).await;
}

#[tokio::test(start_paused = true)]
async fn done_and_cancelled_jobs_are_kept_for_a_week_and_failed_ones_for_two() {
    let world = World::start([fatal()]).await;
    let [failed, cancelled, done] = one_of_each(&world).await;
    later(&world, 7 * DAY - 2 * A_LOOK).await;
    assert_eq!(world.store.ids(), [failed, cancelled, done]);
    later(&world, 2 * A_LOOK).await;
    assert_eq!(world.store.ids(), [failed]);
    later(&world, 7 * DAY).await;
    assert_eq!(world.store.ids(), []);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_limit_is_kept_for_ever() {
    let retention = Retention { done_ms: None, failed_ms: None, ..Retention::default() };
    let world = World::with_retention([fatal()], retention).await;
    let [failed, _, done] = one_of_each(&world).await;
    later(&world, 1_000 * DAY).await;
    assert_eq!(world.store.ids(), [failed, done]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_deleted_in_small_batches() {
    let world = World::start([]).await;
    for _ in 0..450 {
        let id = world.submit(r#"{"kind":"act","run_at":1800100000000}"#).await;
        world.engine.cancel(id).await.unwrap();
    }
    later(&world, 7 * DAY).await;
    assert_eq!(world.store.retired(), [200, 200, 50]);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_kept_while_its_webhook_is_tried_again() {
    let world = World::start([]).await;
    let down = NotDelivered::ForNow { message: "503".into(), retry_after_ms: Some(3_600_000) };
    world.actors.receiver.lock().unwrap().extend(vec![down; 3]);
    let told = world.submit(r#"{"kind":"act","callback":"http://receiver/hook"}"#).await;
    let quiet = world.submit(ACT).await;
    for id in [told, quiet] {
        world.until(id, State::Done).await;
    }
    later(&world, 7 * DAY).await;
    assert_eq!(world.store.ids(), [told]);
    world.until_true("the end of it", || world.store.ids().is_empty()).await;
    assert_eq!(world.actors.received.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn fires_are_remembered_for_thirty_days() {
    let cron = "[[cron]]\nid = \"hourly\"\nkind = \"act\"\nexpr = \"@every 1h\"\n";
    let world = World::with_schedules([], cron, |_| {}).await;
    world.until_true("a fire", || !world.store.fires().is_empty()).await;
    let first = world.store.fires()[0];
    later(&world, 29 * DAY).await;
    assert!(world.store.fires().contains(&first));
    later(&world, DAY).await;
    assert!(!world.store.fires().contains(&first));
}
