//! Jobs whose submitters wait on open connections.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    class::{CLIENT, Class},
    clock::Clock as _,
    failure::Failure,
    id::JobId,
    job::NewJob,
    mark::{Mark, Passed},
    ports::{
        attended::{Attended, Halt},
        control::Control as _,
        runner::{Outcome, Standing},
        store::{Cancelled, Store as _, StoreError},
    },
    run::HEARTBEAT_MS,
    state::State,
    usage::Usage,
};
use tokio::time::timeout;

use crate::world::World;

const ACT: &str = r#"{"kind":"act"}"#;

/// More than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

fn attend(world: &World) -> Arc<dyn Attended> {
    world.engine.attend(world.job(ACT))
}

async fn queued(world: &World) -> Arc<dyn Attended> {
    let attended = attend(world);
    world.until_true("it is written", || world.store.ids().contains(&attended.id())).await;
    attended
}

async fn working(world: &World) -> Arc<dyn Attended> {
    let attended = queued(world).await;
    attended.begin();
    world.until(attended.id(), State::Working).await;
    attended
}

async fn halt(attended: &dyn Attended) -> Halt {
    timeout(LIMIT, attended.halted()).await.expect("it must stop")
}

fn done() -> Outcome {
    Outcome::Done { output: r#"{"said":"hello"}"#.into() }
}

fn paid() -> Usage {
    Usage { output_tokens: 7, ..Usage::default() }
}

fn reason(world: &World, id: JobId) -> String {
    world.row(id).reason.unwrap()
}

fn passed() -> Passed {
    Passed { mark: Mark::Jobs, level: 11, limit: 10 }
}

#[tokio::test(start_paused = true)]
async fn it_is_queued_until_its_turn_then_it_works_then_it_is_done_with_its_cost() {
    let world = World::start([]).await;
    let attended = queued(&world).await;
    let id = attended.id();
    // Longer than any look of the dispatcher.
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.state(id), State::Queued);
    assert!(world.engine.live(id).is_none());

    attended.begin();
    let began_at = world.time.now();
    world.until(id, State::Working).await;
    let supervisor = attended.supervisor();
    supervisor.text("hel");
    supervisor.text("lo");
    supervisor.spent(&paid());
    let live = world.engine.live(id).unwrap();
    assert_eq!((live.text.as_str(), live.run, live.attempt), ("hello", 1, 1));
    assert_eq!(supervisor.standing(), Standing::Held);

    attended.end(done());
    attended.end(Outcome::Failed(Failure::fatal("late", "too late")));
    world.until(id, State::Done).await;
    drop(attended);
    world.pass(LIMIT).await;
    let job = world.row(id);
    assert_eq!((job.state, job.class.0.as_str(), job.attempt), (State::Done, CLIENT, 1));
    assert_eq!((job.started_at, job.usage), (Some(began_at), paid()));
    assert_eq!(job.output.unwrap(), r#"{"said":"hello"}"#);
    assert!(world.engine.live(id).is_none());
    assert_eq!(world.actors.at_once(CLIENT), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_the_store_and_all_is_kept_in_its_order() {
    let world = World::start([]).await;
    world.store.hold_submissions(true);
    let attended = attend(&world);
    world.pass(Duration::from_secs(2)).await;
    attended.begin();
    let began_at = world.time.now();
    let supervisor = attended.supervisor();
    supervisor.loading(true).await;
    supervisor.loading(false).await;
    supervisor.spent(&paid());
    assert_eq!(supervisor.standing(), Standing::Held);
    world.pass(Duration::from_secs(2)).await;
    let (id, ended_at) = (attended.id(), world.time.now());
    attended.end(done());
    drop(attended);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.store.ids(), []);

    world.store.hold_submissions(false);
    world.until_true("it is written", || world.store.ids() == [id]).await;
    world.until(id, State::Done).await;
    let job = world.row(id);
    assert_eq!((job.started_at, job.finished_at), (Some(began_at), Some(ended_at)));
    assert_eq!(job.usage, paid());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_without_its_turn_is_begun_and_ended_all_the_same() {
    let world = World::start([]).await;
    let attended = queued(&world).await;
    attended.end(Outcome::Failed(Failure::retry("ollama-unavailable", "nobody answers")));
    world.until(attended.id(), State::Failed).await;
    assert_eq!(world.row(attended.id()).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_never_tried_again() {
    let world = World::start([]).await;
    let failures = [
        Outcome::Failed(Failure::retry("timeout", "too slow")),
        Outcome::Postponed(Failure::retry("ollama-unavailable", "nobody answers")),
    ];
    for outcome in failures {
        let attended = working(&world).await;
        attended.end(outcome);
        world.until(attended.id(), State::Failed).await;
        world.pass(Duration::from_secs(3_600)).await;
        let job = world.row(attended.id());
        assert_eq!((job.state, job.attempt), (State::Failed, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn its_loading_is_shown_also_if_it_was_said_before_the_store_knew_of_the_run() {
    let world = World::start([]).await;
    world.store.break_begins(1);
    let attended = queued(&world).await;
    attended.begin();
    let supervisor = attended.supervisor();
    supervisor.loading(true).await;
    world.until(attended.id(), State::Loading).await;
    supervisor.loading(false).await;
    world.until(attended.id(), State::Working).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_way_waits_again_and_shows_nothing_of_what_it_had_said() {
    let world = World::start([]).await;
    let attended = working(&world).await;
    let (id, supervisor) = (attended.id(), attended.supervisor());
    supervisor.text("half an ans");
    supervisor.retract();
    supervisor.gave_way().await;
    world.until(id, State::Loading).await;
    let job = world.row(id);
    assert!(job.reason.is_some_and(|reason| reason.contains("gave way")), "it says why");
    assert_eq!((job.attempt, world.engine.live(id).unwrap().text.as_str()), (1, ""));
    supervisor.loading(false).await;
    world.until(id, State::Working).await;
    supervisor.text("an answer");
    assert_eq!(world.engine.live(id).unwrap().text, "an answer");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_moment_is_asked_again() {
    let world = World::start([]).await;
    world.store.break_submissions(2);
    world.store.break_begins(2);
    world.store.break_finishes(2);
    let attended = attend(&world);
    attended.begin();
    attended.end(done());
    world.until_true("it is written", || world.store.ids() == [attended.id()]).await;
    world.until(attended.id(), State::Done).await;
}

#[tokio::test(start_paused = true)]
async fn its_lease_is_renewed_for_as_long_as_it_runs() {
    let world = World::start([]).await;
    let attended = working(&world).await;
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(attended.supervisor().standing(), Standing::Held);
    attended.end(done());
    world.until(attended.id(), State::Done).await;
    assert_eq!(world.row(attended.id()).losses, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_ended_while_the_store_was_asked_about_it_has_lost_nothing() {
    let world = World::start([]).await;
    let attended = working(&world).await;
    // Its end is kept, and it has not heard of that when a heartbeat asks which runs hold their jobs, and why this one does not.
    world.store.hold_ends(true);
    world.store.hold_looks(true);
    attended.end(done());
    world.until(attended.id(), State::Done).await;
    world.pass(Duration::from_millis(HEARTBEAT_MS)).await;
    assert!(world.engine.live(attended.id()).is_some());
    world.store.hold_ends(false);
    world.until_true("it has ended", || world.engine.live(attended.id()).is_none()).await;
    world.store.hold_looks(false);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(attended.supervisor().standing(), Standing::Held);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_is_cancelled_and_told_so() {
    let world = World::start([]).await;
    let attended = queued(&world).await;
    assert_eq!(world.engine.cancel(attended.id()).await.unwrap(), Cancelled::Waiting);
    assert!(matches!(halt(&*attended).await, Halt::Cancelled));
    assert_eq!(world.state(attended.id()), State::Cancelled);
    assert_eq!(attended.supervisor().standing(), Standing::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn one_that_runs_is_cancelled_and_told_so_and_its_cost_is_kept() {
    let world = World::start([]).await;
    let attended = working(&world).await;
    let id = attended.id();
    let cancelled = world.engine.cancel(id).await.unwrap();
    assert!(matches!(cancelled, Cancelled::Running(run) if run.job == id));
    assert!(matches!(halt(&*attended).await, Halt::Cancelled));
    attended.supervisor().spent(&paid());
    drop(attended);
    world.until_true("its cost is kept", || world.row(id).usage == paid()).await;
    assert_eq!(world.state(id), State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_yet_written_is_cancelled_as_soon_as_it_is() {
    let world = World::start([]).await;
    world.store.hold_submissions(true);
    let attended = attend(&world);
    let (engine, id) = (Arc::clone(&world.engine), attended.id());
    let cancel = tokio::spawn(async move { engine.cancel(id).await });
    world.pass(LIMIT).await;
    assert!(!cancel.is_finished());
    world.store.hold_submissions(false);
    assert_eq!(cancel.await.unwrap().unwrap(), Cancelled::Waiting);
    assert!(matches!(halt(&*attended).await, Halt::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn one_whose_turn_comes_after_it_was_cancelled_is_told_so() {
    let world = World::start([]).await;
    let attended = queued(&world).await;
    // Behind the engine's back.
    world.store.cancel(attended.id(), world.time.now()).await.unwrap();
    attended.begin();
    assert!(matches!(halt(&*attended).await, Halt::Cancelled));
    attended.end(done());
    world.pass(LIMIT).await;
    assert_eq!(world.state(attended.id()), State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_lost_its_job_is_told_so() {
    let world = World::start([]).await;
    let attended = working(&world).await;
    world.store.steal(attended.id(), world.time.now()).unwrap();
    world.pass(Duration::from_secs(60)).await;
    assert!(matches!(halt(&*attended).await, Halt::Cancelled));
    assert_eq!(attended.supervisor().standing(), Standing::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_client_leaves_is_cancelled_whether_it_waits_or_runs() {
    let world = World::start([]).await;
    let (waits, runs) = (queued(&world).await, working(&world).await);
    let ids = [waits.id(), runs.id()];
    runs.supervisor().spent(&paid());
    drop((waits, runs));
    for id in ids {
        world.until(id, State::Cancelled).await;
        assert_eq!(reason(&world, id), "the client left");
    }
    assert_eq!(world.row(ids[1]).usage, paid());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stops_cancels_those_that_wait_and_lets_those_that_run_finish() {
    let world = World::start([]).await;
    let (waits, runs) = (queued(&world).await, working(&world).await);
    let engine = Arc::clone(&world.engine);
    let stop = tokio::spawn(async move { engine.stop(LIMIT).await });
    assert!(matches!(halt(&*waits).await, Halt::Stopping));
    world.until(waits.id(), State::Cancelled).await;
    assert_eq!(reason(&world, waits.id()), "the host stopped");
    world.pass(Duration::from_secs(5)).await;
    assert!(!stop.is_finished());
    assert_eq!(runs.supervisor().standing(), Standing::Held);
    runs.end(done());
    stop.await.unwrap();
    assert_eq!(world.state(runs.id()), State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_can_wait_no_longer_cancels_those_that_run() {
    let world = World::start([]).await;
    let runs = working(&world).await;
    runs.supervisor().spent(&paid());
    // The client holds on.
    world.engine.stop(LIMIT).await;
    assert!(matches!(halt(&*runs).await, Halt::Stopping));
    let job = world.row(runs.id());
    assert_eq!((job.state, job.usage), (State::Cancelled, paid()));
    assert_eq!(job.reason.unwrap(), "the host stopped");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stops_takes_no_client() {
    let world = World::start([]).await;
    world.engine.begin_stop();
    let attended = attend(&world);
    assert!(matches!(halt(&*attended).await, Halt::Stopping));
    drop(attended);
    world.engine.stop(LIMIT).await;
    assert_eq!(world.store.ids(), []);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_it_at_once_or_when_it_is_written() {
    let world = World::start([]).await;
    let is_refused =
        |halt| matches!(halt, Halt::Refused(StoreError::Full(mark)) if mark == passed());
    world.store.hold_submissions(true);
    let early = attend(&world);
    world.store.set_passed(Some(passed()));
    let late = attend(&world);
    assert!(is_refused(halt(&*late).await));
    assert_eq!(late.supervisor().standing(), Standing::Fenced);
    world.store.hold_submissions(false);
    assert!(is_refused(halt(&*early).await));
    // Told as often as it is asked.
    assert!(is_refused(halt(&*early).await));
    assert_eq!(world.store.ids(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_host_left_is_cancelled_and_never_runs() {
    let world = World::start([]).await;
    let (waits, runs) = (queued(&world).await, working(&world).await);
    let class = Class(CLIENT.to_owned());
    for _ in 0..450 {
        world.store.submit_silently(&NewJob { class: class.clone(), ..world.job(ACT) });
    }
    let other = world.submit(r#"{"kind":"act","run_at":1800003600000}"#).await;
    let second = world.second_engine().await;
    for id in world.store.ids().into_iter().filter(|id| *id != other) {
        let job = world.row(id);
        assert_eq!((job.state, job.losses), (State::Cancelled, 0));
        assert_eq!(job.reason.unwrap(), "its client was gone when the host started");
    }
    assert_eq!(world.state(other), State::Scheduled);
    drop((waits, runs));
    second.stop(LIMIT).await;
}
