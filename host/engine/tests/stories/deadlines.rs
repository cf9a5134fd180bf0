//! Jobs that are not over at their deadline.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{
    failure::Failure,
    pause::{Pause, Scope},
    ports::store::Store as _,
    state::State,
};

use crate::world::{Act, World};

const MINUTE: &str = r#"{"kind":"act","deadline":"1m"}"#;
const HOUR: Duration = Duration::from_secs(3_600);

/// The code and the sentence of a job that has failed, and how long after its submission.
fn failed(world: &World, id: roughneck_jobs::id::JobId) -> (String, String, u64) {
    let job = world.row(id);
    let failure = job.failure.unwrap();
    (failure.code, failure.message, job.finished_at.unwrap().since_ms(job.enqueued_at))
}

#[tokio::test(start_paused = true)]
async fn a_run_is_stopped_at_the_deadline_of_its_job_and_not_run_again() {
    let world = World::start([Act::Work(HOUR)]).await;
    let id = world.submit(MINUTE).await;
    world.until(id, State::Failed).await;
    let (code, sentence, after_ms) = failed(&world, id);
    assert_eq!((code.as_str(), after_ms), ("deadline-passed", 60_000));
    assert!(sentence.ends_with(": it ran"), "{sentence}");
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 1);
    world.pass(HOUR).await;
    assert_eq!((world.row(id).attempt, world.state(id)), (1, State::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_told_the_earlier_of_its_timeout_and_the_deadline() {
    let world = World::start([Act::Deadline, Act::Deadline]).await;
    for (json, ms) in [(MINUTE, 60_000), (r#"{"kind":"act","deadline":"3h"}"#, 3_600_000)] {
        let id = world.submit(json).await;
        world.until(id, State::Done).await;
        let job = world.row(id);
        let told: i64 = job.output.unwrap().parse().unwrap();
        assert_eq!(told, job.enqueued_at.plus_ms(ms).0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_fails_at_its_deadline_to_the_millisecond() {
    let world = World::start(vec![Act::Work(HOUR)]).await;
    let busy = world.submit(r#"{"kind":"think"}"#).await;
    let queued = world.submit(r#"{"kind":"think","deadline":"1m"}"#).await;
    let run_at = world.time_in(Duration::from_secs(59));
    let later = format!(r#"{{"kind":"act","run_at":{},"deadline":"1m"}}"#, run_at.0);
    let scope = Scope::Kind("act".to_owned());
    let reason = "for a test".to_owned();
    let pause = Pause { scope, since: run_at, until: None, reason };
    world.store.pause(pause).await.unwrap();
    let scheduled = world.submit(&later).await;
    world.pass(Duration::from_millis(59_990)).await;
    assert_eq!(world.state(queued), State::Queued);
    world.pass(Duration::from_millis(20)).await;
    for id in [queued, scheduled] {
        let (code, sentence, after_ms) = failed(&world, id);
        assert_eq!((code.as_str(), after_ms), ("deadline-passed", 60_000));
        assert!(sentence.ends_with(": it waited for a slot"), "{sentence}");
    }
    assert_eq!(world.state(busy), State::Working);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_come_too_late_fails_at_once_in_the_words_of_the_last_attempt() {
    let flaky = || Act::Fail(Failure::retry("unavailable", "not now"));
    let world = World::start([flaky(), flaky(), flaky()]).await;
    // Retries come after 10 s and, then, after 20 s.
    let id = world.submit(r#"{"kind":"act","deadline":"25s"}"#).await;
    world.until(id, State::Failed).await;
    let (code, sentence, after_ms) = failed(&world, id);
    assert_eq!((code.as_str(), after_ms), ("deadline-passed", 10_000));
    assert!(
        sentence.ends_with("its last attempt failed with `unavailable`: not now"),
        "{sentence}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_past_the_deadline_stops_the_run() {
    let world = World::start([Act::Work(HOUR)]).await;
    let id = world.submit(MINUTE).await;
    world.actors.begun.notified().await;
    world.time.jump(Duration::from_secs(120));
    // The sweeper looks again by itself.
    world.pass(Duration::from_secs(31)).await;
    assert_eq!(world.state(id), State::Failed);
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_became_overdue_while_the_host_was_down_never_runs() {
    let mut world = World::start([Act::Work(HOUR)]).await;
    let busy = world.submit(r#"{"kind":"think"}"#).await;
    let id = world.submit(r#"{"kind":"think","deadline":"1m"}"#).await;
    world.actors.begun.notified().await;
    world.engine.stop(Duration::ZERO).await;
    world.pass(HOUR).await;
    world.restart().await;
    world.until(busy, State::Done).await;
    assert_eq!(failed(&world, id).0, "deadline-passed");
    assert_eq!(world.row(id).attempt, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_stopped_at_its_deadline_also_while_the_host_stops() {
    let world = World::start([Act::Work(HOUR)]).await;
    let id = world.submit(MINUTE).await;
    world.actors.begun.notified().await;
    world.engine.stop(Duration::from_secs(600)).await;
    let (code, _, after_ms) = failed(&world, id);
    assert_eq!((code.as_str(), after_ms), ("deadline-passed", 60_000));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_of_this_kind_runs_without_a_deadline_when_it_is_retried() {
    let world = World::start([Act::Work(HOUR), Act::Work(Duration::from_secs(120))]).await;
    let id = world.submit(MINUTE).await;
    world.until(id, State::Failed).await;
    let now = world.time_in(Duration::ZERO);
    world.store.retry(id, now).await.unwrap();
    world.until(id, State::Done).await;
    assert_eq!(world.row(id).deadline, None);
}

#[tokio::test(start_paused = true)]
async fn children_end_with_their_parent_at_its_deadline() {
    let slow = Act::Work(HOUR);
    let world = World::start([Act::Gather("act", 2), slow.clone(), slow]).await;
    let id = world.submit(MINUTE).await;
    world.until(id, State::Blocked).await;
    world.until_true("both children work", || world.actors.at_once("io") == 2).await;
    world.until(id, State::Failed).await;
    world.pass(Duration::from_millis(100)).await;
    assert_eq!(world.store.ids().len(), 3);
    for id in world.store.ids() {
        assert_eq!(world.row(id).failure.unwrap().code, "deadline-passed");
        assert_eq!(world.row(id).finished_at.unwrap().since_ms(world.row(id).deadline.unwrap()), 0);
    }
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_retried_after_its_deadline_has_time_again_and_so_have_its_children() {
    let (gather, slow) = (Act::Gather("act", 1), Act::Work(HOUR));
    let world = World::start([gather.clone(), slow, gather.clone(), Act::Echo, gather]).await;
    let id = world.submit(MINUTE).await;
    world.until(id, State::Failed).await;
    world.pass(Duration::from_secs(60)).await;
    world.store.retry(id, world.time_in(Duration::ZERO)).await.unwrap();
    world.until(id, State::Done).await;
    assert!(world.store.ids().into_iter().all(|id| world.row(id).deadline.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_not_paused_because_its_jobs_were_given_too_little_time() {
    let world = World::start(vec![Act::Work(HOUR); 6]).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.submit(MINUTE).await);
    }
    world.until_true("all run", || world.actors.at_once("io") == 6).await;
    // The sweeper has left by then, so that each of them ends itself.
    world.engine.stop(Duration::from_secs(600)).await;
    assert!(ids.iter().all(|id| failed(&world, *id).0 == "deadline-passed"));
    assert_eq!(world.store.pauses().await.unwrap(), []);
}
