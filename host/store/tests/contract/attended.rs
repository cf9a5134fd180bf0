//! Jobs whose submitters wait: they are begun by their id, and cancelled when nobody waits any more.

use roughneck_jobs::{
    class::{CLIENT, Class, Slots},
    clock::Millis,
    id::JobId,
    job::{DeadLetters, Filter, NewJob},
    pause::{Pause, Scope},
    ports::{
        bell::Change,
        store::{Cancelled, Retried, StoreError, Verdict},
    },
    run::{LEASE_MS, Run},
    state::State,
};

use crate::given::{World, assert_fenced, at, done, ending, failure, io, job_id, new_job, slots};

const REASON: &str = "the client left";

fn client() -> Class {
    Class(CLIENT.to_owned())
}

fn of_client() -> NewJob {
    NewJob { class: client(), attempts_max: 1, ..new_job() }
}

/// A world with slots for clients as well.
async fn world(count: u32) -> World {
    let world = World::new().await;
    let of_clients = vec![Slots { class: client(), count }];
    world.set_slots(&[slots(2), of_clients].concat()).await.unwrap();
    world
}

async fn begun(world: &World, id: JobId, now: Millis) -> Option<Run> {
    world.begin(id, now, now.plus_ms(LEASE_MS)).await.unwrap()
}

#[tokio::test]
async fn exactly_the_job_that_is_meant_begins_whatever_its_rank() {
    let world = world(512).await;
    let mut ids = Vec::new();
    for rank in [1, 3, 2] {
        ids.push(world.submitted(NewJob { rank: at(rank), ..of_client() }).await);
    }
    world.rung().await;
    let run = begun(&world, ids[1], at(7)).await.unwrap();
    assert_eq!((run.job, run.token), (ids[1], 1));
    assert_eq!(world.rung().await, [Change::Job(ids[1])]);
    let job = world.get_job(ids[1]).await;
    assert_eq!((job.state, job.attempt, job.started_at), (State::Working, 1, Some(at(7))));
    assert_eq!(world.states(ids[1]).await, [State::Queued, State::Working]);
    let attempts = world.attempts(ids[1]).await.unwrap();
    assert_eq!((attempts[0].run, attempts[0].started_at), (1, at(7)));
    for other in [ids[0], ids[2]] {
        assert_eq!(world.get_job(other).await.state, State::Queued);
    }
}

#[tokio::test]
async fn its_run_is_fenced_and_leased_as_any_other() {
    let world = world(1).await;
    let id = world.submitted(of_client()).await;
    let run = begun(&world, id, at(1)).await.unwrap();
    let stale = Run { token: run.token - 1, ..run };
    assert_fenced(&world.finish(stale, ending(done(), at(2))).await);
    assert!(world.renew(&[run], at(90_000)).await.unwrap().is_empty());
    assert!(world.reap(at(89_000), 9).await.unwrap().runs.is_empty());
    assert_eq!(world.reap(at(91_000), 9).await.unwrap().runs, [run]);
    assert_fenced(&world.finish(run, ending(done(), at(91_001))).await);
}

#[tokio::test]
async fn a_job_that_is_not_queued_does_not_begin() {
    let world = world(9).await;
    let scheduled = world.submitted(NewJob { run_at: at(9), ..of_client() }).await;
    let cancelled = world.submitted(of_client()).await;
    world.cancel(cancelled, at(1)).await.unwrap();
    let running = world.submitted(of_client()).await;
    let run = begun(&world, running, at(1)).await.unwrap();
    for id in [scheduled, cancelled, running, job_id()] {
        assert_eq!(begun(&world, id, at(2)).await, None);
    }
    world.end(run, done(), at(3)).await;
    assert_eq!(begun(&world, running, at(4)).await, None);
}

#[tokio::test]
async fn it_begins_only_with_a_free_slot_of_its_class_which_its_end_gives_back() {
    let world = world(1).await;
    let (first, second) = (world.submitted(of_client()).await, world.submitted(of_client()).await);
    let run = begun(&world, first, at(1)).await.unwrap();
    assert_eq!(begun(&world, second, at(2)).await, None);
    assert_eq!(world.get_job(second).await.state, State::Queued);
    world.end(run, done(), at(3)).await;
    assert!(begun(&world, second, at(4)).await.is_some());
}

#[tokio::test]
async fn no_pause_keeps_back_what_has_begun() {
    let world = world(1).await;
    for scope in [Scope::Class(CLIENT.to_owned()), Scope::Kind(new_job().kind)] {
        let reason = "a look at it".to_owned();
        world.pause(Pause { scope, since: at(0), until: None, reason }).await.unwrap();
    }
    let id = world.submitted(of_client()).await;
    assert!(begun(&world, id, at(1)).await.is_some());
}

#[tokio::test]
async fn a_withdrawn_job_is_cancelled_for_the_reason_given_in_any_state() {
    let world = world(1).await;
    let (waits, runs) = (world.submitted(of_client()).await, world.submitted(of_client()).await);
    let run = begun(&world, runs, at(1)).await.unwrap();
    assert_eq!(world.withdraw(waits, REASON, at(2)).await.unwrap(), Cancelled::Waiting);
    assert_eq!(world.withdraw(runs, REASON, at(2)).await.unwrap(), Cancelled::Running(run));
    for id in [waits, runs] {
        let job = world.get_job(id).await;
        assert_eq!((job.state, job.finished_at), (State::Cancelled, Some(at(2))));
        assert_eq!(job.reason.as_deref(), Some(REASON));
        let again = world.withdraw(id, REASON, at(3)).await.unwrap();
        assert_eq!(again, Cancelled::Ended(State::Cancelled));
    }
    assert_fenced(&world.finish(run, ending(done(), at(4))).await);
    let unknown = world.withdraw(job_id(), REASON, at(4)).await;
    assert!(matches!(unknown, Err(StoreError::NoSuchJob(_))));
}

#[tokio::test]
async fn all_of_a_class_that_wait_or_run_are_withdrawn_batch_after_batch() {
    let world = world(2).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.submitted(of_client()).await);
    }
    for id in [ids[0], ids[3]] {
        begun(&world, id, at(1)).await.unwrap();
    }
    let running = world.running(new_job()).await;
    let other = world.submitted(new_job()).await;
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(world.withdraw_all(&client(), REASON, at(2), 3).await.unwrap());
    }
    assert_eq!(batches, [3, 2, 0]);
    for id in &ids {
        let job = world.get_job(*id).await;
        assert_eq!((job.state, job.reason.as_deref()), (State::Cancelled, Some(REASON)));
    }
    assert_eq!(world.outcomes(ids[0]).await, ["cancelled"]);
    assert_eq!(world.get_job(other).await.state, State::Queued);
    assert!(world.get_job(running.job).await.state.is_running());
    // Their slots are free again.
    for _ in 0..2 {
        let id = world.submitted(of_client()).await;
        assert!(begun(&world, id, at(3)).await.is_some());
    }
}

#[tokio::test]
async fn it_is_not_run_again_because_nobody_waits_for_it() {
    let world = world(1).await;
    let failed = world.submitted(of_client()).await;
    let run = begun(&world, failed, at(1)).await.unwrap();
    world.end(run, Verdict::Fail { failure: failure() }, at(2)).await;
    let cancelled = world.submitted(of_client()).await;
    world.withdraw(cancelled, REASON, at(2)).await.unwrap();
    for id in [failed, cancelled] {
        let before = world.everything(id).await;
        assert_eq!(world.retry(id, at(3)).await.unwrap(), Retried::NobodyWaits);
        assert_eq!(world.everything(id).await, before);
    }
    // It is no dead letter, to anybody.
    let dead = Some(DeadLetters::default());
    let page = world.jobs(Filter { dead, limit: 9, ..Filter::default() }).await.unwrap();
    assert!(page.is_empty(), "{page:?}");
    let purged = world.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!((purged.jobs, purged.left), (0, 0));
    let all = Filter { state: Some(State::Failed), limit: 9, ..Filter::default() };
    assert_eq!(world.jobs(all).await.unwrap().len(), 1, "it is among the jobs that have failed");
    // It takes no place from one that can be run again.
    let other = world.running(new_job()).await;
    world.end(other, Verdict::Fail { failure: failure() }, at(2)).await;
    let cleared = world.retry_many(DeadLetters::default(), 1, at(3)).await.unwrap();
    assert_eq!((cleared.jobs, cleared.left), (1, 0));
    assert_eq!(world.get_job(other.job).await.state, State::Queued);
    assert_eq!(world.get_job(failed).await.state, State::Failed);
    assert_eq!(world.claim_at(9, at(4)).await[0].job.class, io());
}
