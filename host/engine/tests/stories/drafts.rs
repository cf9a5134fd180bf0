//! Attended jobs that are soon over: they are written late, in one go, and never too late.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use prometheus_client::encoding::text::encode;
use roughneck_jobs::{
    class::{CLIENT, Class},
    clock::Clock as _,
    failure::Failure,
    job::NewJob,
    mark::{Mark, Passed},
    ports::{
        attended::Attended,
        control::Control as _,
        runner::Outcome,
        store::{Cancelled, Store as _},
    },
    state::State,
    usage::Usage,
};

use crate::world::World;

const ACT: &str = r#"{"kind":"act"}"#;

/// Within the moment for which the books of a job wait.
const SOON: Duration = Duration::from_millis(1);

/// More than that moment.
const LATER: Duration = Duration::from_millis(200);

/// More than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

fn attend(world: &World) -> Arc<dyn Attended> {
    world.engine.attend(world.job(ACT))
}

fn done() -> Outcome {
    Outcome::Done { output: r#"{"said":"hello"}"#.into() }
}

fn paid() -> Usage {
    Usage { output_tokens: 7, ..Usage::default() }
}

async fn states(world: &World, job: &dyn Attended) -> Vec<State> {
    let events = world.store.events(job.id(), 0).await.unwrap();
    events.into_iter().map(|event| event.state).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_one_after_the_other_are_written_a_few_times_and_all_together() {
    let world = World::start([]).await;
    let (mut calls, mut sums) = (Vec::new(), BTreeSet::new());
    for _ in 0..100 {
        let call = attend(&world);
        call.begin();
        world.pass(SOON).await;
        call.supervisor().spent(&paid());
        call.end(done());
        calls.push((call.id(), world.time.now()));
        sums.insert(world.store.ids().len());
    }
    world.pass(LATER).await;
    sums.insert(world.store.ids().len());
    assert!(sums.len() <= 4, "the store was told more than three times: {sums:?}");
    for (id, ended_at) in calls {
        let job = world.row(id);
        assert_eq!((job.state, job.class.0.as_str(), job.attempt), (State::Done, CLIENT, 1));
        assert_eq!((job.finished_at, job.usage), (Some(ended_at), paid()));
        assert_eq!(ended_at.since_ms(job.started_at.unwrap()), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn each_way_that_a_call_is_over_is_kept() {
    let world = World::start([]).await;
    let failed = Outcome::Failed(Failure::retry("timeout", "too slow"));
    let (ends, fails, never_begins) = (attend(&world), attend(&world), attend(&world));
    ends.begin();
    fails.begin();
    ends.end(done());
    fails.end(failed);
    never_begins.end(done());
    let (leaves_waiting, leaves_running) = (attend(&world), attend(&world));
    leaves_running.begin();
    leaves_running.supervisor().spent(&paid());
    let left = [leaves_waiting.id(), leaves_running.id()];
    drop((leaves_waiting, leaves_running));
    world.pass(LATER).await;
    for (call, state) in
        [(&ends, State::Done), (&fails, State::Failed), (&never_begins, State::Done)]
    {
        assert_eq!(states(&world, &**call).await, [State::Queued, State::Working, state]);
        assert_eq!(world.row(call.id()).attempt, 1);
    }
    for (id, attempt) in left.into_iter().zip([0, 1]) {
        let job = world.row(id);
        assert_eq!((job.state, job.attempt), (State::Cancelled, attempt));
        assert_eq!(job.reason.as_deref(), Some("the client left"));
    }
    assert_eq!(world.row(left[1]).usage, paid());
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_one_loses_none_of_the_others_and_stops_nothing() {
    let world = World::start([]).await;
    let over = [attend(&world), attend(&world), attend(&world)];
    world.store.fear(over[1].id());
    for call in &over {
        call.begin();
        call.end(done());
    }
    world.pass(LATER).await;
    let kept = over.each_ref().map(|call| world.store.look(call.id()).map(|job| job.state));
    assert_eq!(kept, [Some(State::Done), None, Some(State::Done)]);

    let goes_on = attend(&world);
    world.store.fear(goes_on.id());
    world.pass(LATER).await;
    assert_eq!(world.store.look(goes_on.id()), None);

    let later = attend(&world);
    later.end(done());
    world.engine.stop(LIMIT).await;
    assert_eq!(world.row(later.id()).state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_for_its_model_keeps_all_of_its_history() {
    let world = World::start([]).await;
    let call = attend(&world);
    call.begin();
    let supervisor = call.supervisor();
    supervisor.loading(true).await;
    supervisor.loading(false).await;
    supervisor.gave_way().await;
    supervisor.loading(false).await;
    call.end(done());
    world.pass(LATER).await;
    let (loading, working) = (State::Loading, State::Working);
    let all = [State::Queued, working, loading, working, loading, working, State::Done];
    assert_eq!(states(&world, &*call).await, all);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_one_has_it_written_at_once_as_it_is() {
    let world = World::start([]).await;
    let (waits, runs, ended) = (attend(&world), attend(&world), attend(&world));
    runs.begin();
    ended.begin();
    ended.end(done());
    let asked_at = world.time.now();
    for (call, state) in [(&ended, State::Done), (&runs, State::Working), (&waits, State::Queued)] {
        world.engine.written(call.id()).await;
        assert_eq!(world.state(call.id()), state);
    }
    assert!(world.engine.live(runs.id()).is_some(), "what it shows is shown");
    world.engine.written(world.job(ACT).id).await;
    assert_eq!(world.time.now(), asked_at, "somebody waited");
    runs.end(done());
    world.until(runs.id(), State::Done).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_waits_until_what_was_said_is_written_and_not_only_that_it_came() {
    let world = World::start([]).await;
    world.store.hold_begins(true);
    let call = attend(&world);
    call.begin();
    let (engine, id) = (Arc::clone(&world.engine), call.id());
    let written = tokio::spawn(async move { engine.written(id).await });
    world.until_true("it came", || world.store.ids() == [id]).await;
    assert!(!written.is_finished());
    world.store.hold_begins(false);
    written.await.unwrap();
    assert_eq!(world.state(id), State::Working);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_before_it_is_written_is_cancelled_at_once() {
    let world = World::start([]).await;
    let asked_at = world.time.now();
    let (waits, runs, ended) = (attend(&world), attend(&world), attend(&world));
    runs.begin();
    ended.end(done());
    assert_eq!(world.engine.cancel(waits.id()).await.unwrap(), Cancelled::Waiting);
    let cancelled = world.engine.cancel(runs.id()).await.unwrap();
    assert!(matches!(cancelled, Cancelled::Running(run) if run.job == runs.id()), "{cancelled:?}");
    let over = Cancelled::Ended(State::Done);
    assert_eq!(world.engine.cancel(ended.id()).await.unwrap(), over);
    for call in [&waits, &runs] {
        call.halted().await;
        assert_eq!(world.state(call.id()), State::Cancelled);
    }
    assert_eq!(world.time.now(), asked_at, "somebody waited");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stops_writes_all_that_was_said_and_does_not_linger() {
    let world = World::start([]).await;
    let (waits, runs, ended) = (attend(&world), attend(&world), attend(&world));
    runs.begin();
    ended.end(done());
    let left = attend(&world).id();
    let stopped_at = world.time.now();
    let engine = Arc::clone(&world.engine);
    let stop = tokio::spawn(async move { engine.stop(LIMIT).await });
    waits.halted().await;
    let waited = waits.id();
    drop(waits);
    runs.end(done());
    stop.await.unwrap();
    assert_eq!(world.time.now(), stopped_at, "it lingered");
    assert_eq!([runs.id(), ended.id()].map(|id| world.state(id)), [State::Done; 2]);
    for (id, reason) in [(waited, "the host stopped"), (left, "the client left")] {
        let job = world.row(id);
        assert_eq!((job.state, job.reason.as_deref()), (State::Cancelled, Some(reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_moment_is_asked_again() {
    let world = World::start([]).await;
    world.store.break_submissions(5);
    let calls = [attend(&world), attend(&world)];
    calls.iter().for_each(|call| call.end(done()));
    for call in &calls {
        let is_there = || world.store.ids().contains(&call.id());
        world.until_true("it is written", is_there).await;
        assert_eq!(states(&world, &**call).await.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_the_queue_has_no_room_for_or_whose_id_is_taken_is_not_kept() {
    let world = World::start([]).await;
    let taken = world.job(ACT);
    world.store.submit_silently(&NewJob { class: Class("none".to_owned()), ..taken.clone() });
    let (full, known) = (attend(&world), world.engine.attend(taken.clone()));
    known.end(done());
    world.engine.written(known.id()).await;
    world.store.set_passed(Some(Passed { mark: Mark::Jobs, level: 11, limit: 10 }));
    full.end(done());
    world.pass(LATER).await;
    assert_eq!(world.store.ids(), [taken.id]);
    assert_eq!(world.state(taken.id), State::Queued);
}

#[tokio::test(start_paused = true)]
async fn too_many_are_written_without_waiting() {
    let world = World::start([]).await;
    let mut calls = vec![attend(&world)];
    // Until it is known that there is one.
    world.pass(SOON).await;
    calls.extend((1..1_000).map(|_| attend(&world)));
    world.pass(SOON).await;
    assert_eq!(world.store.ids().len(), calls.len());
}

#[tokio::test(start_paused = true)]
async fn its_end_and_its_wait_are_counted_as_those_of_others() {
    let world = World::start([]).await;
    for _ in 0..2 {
        let call = attend(&world);
        world.pass(SOON).await;
        call.begin();
        call.end(done());
    }
    world.pass(LATER).await;
    let mut text = String::new();
    encode(&mut text, &world.registry).unwrap();
    for line in [
        r#"roughneck_attempts_total{outcome="done"} 2"#,
        r#"roughneck_job_wait_seconds_count{class="client"} 2"#,
    ] {
        assert!(text.lines().any(|one| one == line), "no `{line}` in\n{text}");
    }
}
