//! Jobs from claim to verdict.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{
    clock::Clock as _,
    failure::Failure,
    job::NewJob,
    pause::{Pause, Scope},
    ports::{
        control::Control as _,
        store::{Cancelled, Retried, Store as _},
    },
    preference::Preference,
    run::LEASE_MS,
    state::State,
};

use crate::world::{Act, World};

const ACT: &str = r#"{"kind":"act"}"#;
const THINK: &str = r#"{"kind":"think"}"#;

fn flaky() -> Act {
    Act::Fail(Failure::retry("unavailable", "not now"))
}

#[tokio::test(start_paused = true)]
async fn a_submitted_job_runs_and_is_done() {
    let world = World::start([]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Done).await;
    assert_eq!(world.row(id).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn a_class_with_one_slot_never_runs_two_jobs_at_once() {
    let world = World::start(vec![Act::Work(Duration::from_secs(3)); 5]).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.submit(THINK).await);
    }
    for id in ids {
        world.until(id, State::Done).await;
    }
    assert_eq!(world.actors.at_once("ollama"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_repeated_after_its_delay() {
    let world = World::start([flaky(), flaky()]).await;
    let id = world.submit(ACT).await;
    let before = world.row(id).enqueued_at;
    world.until(id, State::Done).await;
    let job = world.row(id);
    assert_eq!(job.attempt, 3);
    // 10 s, then 20 s.
    let took_ms = job.finished_at.unwrap().since_ms(before);
    assert!((30_000..31_000).contains(&took_ms), "{took_ms}");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_attempts_are_used_up_becomes_a_dead_letter() {
    let world = World::start([flaky(), flaky(), flaky()]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Failed).await;
    assert_eq!(world.row(id).failure.unwrap().code, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_retried_has_all_its_attempts_again() {
    let world = World::start(vec![flaky(); 5]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Failed).await;
    assert_eq!(world.store.retry(id, world.time.now()).await.unwrap(), Retried::Queued);
    world.until(id, State::Done).await;
    assert_eq!(world.row(id).attempt, 3);
}

#[tokio::test(start_paused = true)]
async fn a_postponement_burns_no_attempt_however_often_it_happens() {
    let down = Act::Postpone(Failure::retry("ollama-unavailable", "down"));
    let world = World::start(vec![down; 10]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Done).await;
    assert_eq!(world.row(id).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_is_dropped_at_once_and_finishes_nothing() {
    let world = World::start([Act::Work(Duration::from_secs(3_000))]).await;
    let id = world.submit(ACT).await;
    world.actors.begun.notified().await;
    let cancelled = world.engine.cancel(id).await.unwrap();
    assert!(matches!(cancelled, Cancelled::Running(_)));
    world
        .until_true("the run is dropped", || world.actors.dropped.load(Ordering::Relaxed) == 1)
        .await;
    assert_eq!(world.state(id), State::Cancelled);
    assert!(world.engine.live(id).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_right_after_its_claim_never_begins() {
    let world = World::start([]).await;
    world.store.hold_claims(true);
    let id = world.submit(ACT).await;
    // The store has handed the job out, and the dispatcher has not heard of it.
    world.until(id, State::Working).await;
    world.engine.cancel(id).await.unwrap();
    world.store.hold_claims(false);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.actors.at_once("io"), 0);
    assert_eq!(world.state(id), State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn the_next_job_is_claimed_with_the_end_of_another_and_waits_for_no_bell() {
    let second_long = || Act::Work(Duration::from_secs(1));
    let world = World::start([second_long(), second_long()]).await;
    world.engine.stop(Duration::ZERO).await;
    let first = world.submit(THINK).await;
    let next = world.submit(THINK).await;
    let _deaf = world.second_engine().await;
    world.until(next, State::Done).await;
    assert_eq!(world.row(next).started_at, world.row(first).finished_at);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_another_kind_makes_nobody_claim_more_often() {
    let claims_with = async |pauses: usize| {
        let world = World::start([]).await;
        world.engine.stop(Duration::ZERO).await;
        let since = world.time.now();
        let until = Some(since.plus_ms(3_600_000));
        for scope in [Scope::Kind("think".to_owned())].into_iter().take(pauses) {
            world.store.pause(Pause { scope, since, until, reason: String::new() }).await.unwrap();
        }
        let mut ids = Vec::new();
        for _ in 0..50 {
            ids.push(world.submit(ACT).await);
        }
        // No bell of the store wakes it: it claims when it begins, and with the end of each run.
        let _deaf = world.second_engine().await;
        for id in ids {
            world.until(id, State::Done).await;
        }
        world.store.claims()
    };
    assert_eq!(claims_with(1).await, claims_with(0).await);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_long_to_count_holds_no_job_up() {
    let world = World::start([]).await;
    world.store.hold_counts(true);
    world.pass(Duration::from_secs(60)).await;
    let id = world.submit(ACT).await;
    world.pass(Duration::from_millis(100)).await;
    assert_eq!(world.state(id), State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_loses_no_run() {
    let world = World::start([Act::Work(Duration::from_secs(90))]).await;
    let id = world.submit(ACT).await;
    world.actors.begun.notified().await;
    // The wall clock jumps past the end of the lease; a new job wakes the sweeper before any heartbeat.
    world.time.jump(Duration::from_secs(8 * 3_600));
    let other = world.submit(ACT).await;
    world.until(other, State::Done).await;
    world.until(id, State::Done).await;
    assert_eq!((world.row(id).losses, world.row(id).attempt), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_busy_class_does_not_starve_another() {
    let world = World::start([]).await;
    world.store.endless("io");
    world.submit(ACT).await;
    let thinking = world.submit(THINK).await;
    // Time stands still while there is always something to do, so turns are counted instead.
    let mut turns = 0;
    while world.state(thinking) != State::Done {
        turns += 1;
        assert!(turns < 50, "the other class has had no turn");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_job_is_stopped_by_the_next_heartbeat() {
    let world = World::start([Act::Work(Duration::from_secs(3_000))]).await;
    let id = world.submit(ACT).await;
    world.actors.begun.notified().await;
    world.store.steal(id, world.time.now()).unwrap();
    world.pass(Duration::from_millis(LEASE_MS / 3 + 1_000)).await;
    assert_eq!(world.actors.dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_of_hours_keeps_its_lease() {
    let world = World::start([Act::Work(Duration::from_secs(3 * 3_600))]).await;
    let id = world.submit(ACT).await;
    world.until(id, State::Done).await;
    assert_eq!((world.row(id).losses, world.row(id).attempt), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_although_the_store_failed_for_a_moment() {
    let world = World::start([]).await;
    world.store.break_finishes(3);
    let id = world.submit(ACT).await;
    world.until(id, State::Done).await;
    assert_eq!(world.row(id).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_notification_was_lost_is_found() {
    let world = World::start([]).await;
    world.pass(Duration::from_millis(10)).await;
    let job = world.job(ACT);
    world.store.submit_silently(&job);
    world.pass(Duration::from_secs(6)).await;
    assert_eq!(world.state(job.id), State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_kind_that_is_gone_waits_without_burning_attempts() {
    let world = World::start([]).await;
    let mut job = world.job(ACT);
    job.kind = "gone".into();
    world.store.submit_silently(&job);
    world.pass(Duration::from_secs(600)).await;
    let job = world.row(job.id);
    assert_eq!(
        (job.state.is_terminal(), job.failure.unwrap().code.as_str()),
        (false, "kind-missing")
    );
}

#[tokio::test(start_paused = true)]
async fn jobs_for_ollama_wait_while_it_is_down_and_run_when_the_lane_rings() {
    let world = World::start([]).await;
    world.actors.ollama_is_down.store(true, Ordering::Relaxed);
    let (thinking, acting) = (world.submit(THINK).await, world.submit(ACT).await);
    world.until(acting, State::Done).await;
    world.pass(Duration::from_secs(3_600)).await;
    assert_eq!(world.state(thinking), State::Queued);
    world.actors.ollama_is_down.store(false, Ordering::Relaxed);
    world.ring_for("ollama");
    world.until(thinking, State::Done).await;
    assert_eq!(world.row(thinking).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_does_nothing_but_fail_is_paused_and_tried_again_afterwards() {
    let world = World::start(vec![Act::Fail(Failure::fatal("broken", "broken")); 6]).await;
    let mut last = world.submit(ACT).await;
    for _ in 1..6 {
        world.until(last, State::Failed).await;
        last = world.submit(ACT).await;
    }
    world.until(last, State::Failed).await;
    let pause = world.store.pauses().await.unwrap().remove(0);
    assert_eq!(pause.scope, Scope::Kind("act".to_owned()));
    assert_eq!(pause.reason, "6 attempts in a row have failed, the last one with `broken`");
    // A job of this kind waits until the pause is over; one of another kind does not.
    let (waits, goes) = (world.submit(ACT).await, world.submit(THINK).await);
    world.until(goes, State::Done).await;
    assert_eq!(world.state(waits), State::Queued);
    world.until(waits, State::Done).await;
    let started_at = world.row(waits).finished_at.unwrap();
    assert!(started_at.since_ms(pause.since) >= 600_000);
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_resumed_goes_on_at_once() {
    let world = World::start([]).await;
    let scope = Scope::Class("io".to_owned());
    let since = world.time.now();
    let pause = Pause { scope: scope.clone(), since, until: None, reason: "for a test".to_owned() };
    world.store.pause(pause).await.unwrap();
    let id = world.submit(ACT).await;
    world.until(world.submit(THINK).await, State::Done).await;
    assert_eq!(world.state(id), State::Queued);
    assert!(world.store.resume(scope).await.unwrap());
    world.until(id, State::Done).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_of_the_loaded_model_run_before_others_while_the_lane_prefers_it() {
    let world = World::start(vec![Act::Work(Duration::from_secs(10)); 7]).await;
    let preference = Preference {
        models: ["loaded".to_owned()].into(),
        until: world.time.now().plus_ms(25_000),
        urgent_until: world.time.now(),
    };
    *world.actors.preference.lock().unwrap() = Some(preference);
    let mut ids = Vec::new();
    for model in ["loaded", "other", "loaded", "loaded", "loaded"] {
        let job = NewJob { model: Some(model.to_owned()), ..world.job(THINK) };
        ids.push(world.store.submit(job).await.unwrap().id());
    }
    let started_at = |n: usize| world.store.look(ids[n]).unwrap().started_at.unwrap();
    world.until(ids[4], State::Done).await;
    let mut order = [0, 1, 2, 3, 4];
    order.sort_by_key(|n| started_at(*n));
    // The preference ends during the third.
    assert_eq!(order, [0, 2, 3, 1, 4]);
}
