//! A run that lost its job can write nothing.

use roughneck_jobs::{
    delivery::Notice,
    job::DeadLetters,
    ports::{
        kv::{Key, Written},
        store::{Finish, Verdict},
    },
    run::Run,
    state::State,
};

use crate::given::{
    World, assert_fenced, at, done, ending, failure, job_with_callback, new_job, retry,
};

fn key() -> Key {
    Key { plugin: "echo".to_owned(), namespace: "default".to_owned(), key: "k".to_owned() }
}

/// Tries every write of a run and sees that nothing changes.
async fn assert_can_do_nothing(world: &World, run: Run) {
    let before = world.everything(run.job).await;
    let value = world.get(&key()).await.unwrap();
    let notice = Notice { target: "cms".to_owned(), event: "e".to_owned(), data: "{}".to_owned() };
    let verdicts = [
        done(),
        retry(1),
        Verdict::Fail { failure: failure() },
        Verdict::Postpone { delay_ms: 1, failure: failure() },
        Verdict::Cancel { failure: failure() },
    ];
    for verdict in verdicts {
        let finish = Finish { notices: vec![notice.clone()], ..ending(verdict, at(9)) };
        assert_fenced(&world.finish(run, finish).await);
    }
    assert_fenced(&world.set_loading(run, true, at(9)).await);
    assert_fenced(&world.set_loading(run, false, at(9)).await);
    assert_fenced(&world.gave_way(run, at(9)).await);
    assert_fenced(&world.release(run, at(9)).await);
    assert_fenced(&world.set(run, key(), b"stale".to_vec(), 1000).await);
    assert_fenced(&world.delete(run, key()).await);
    assert_eq!(world.renew(&[run], at(99_999_999)).await.unwrap(), [run]);
    assert_eq!(world.everything(run.job).await, before);
    assert_eq!(world.get(&key()).await.unwrap(), value);
}

#[tokio::test]
async fn a_run_that_finished_can_do_nothing_more() {
    let world = World::new().await;
    let run = world.running(job_with_callback()).await;
    world.set(run, key(), b"v".to_vec(), 1000).await.unwrap();
    world.end(run, done(), at(1)).await;
    assert_can_do_nothing(&world, run).await;
}

#[tokio::test]
async fn a_run_that_waits_for_its_retry_can_do_nothing() {
    let world = World::new().await;
    let run = world.running(job_with_callback()).await;
    world.end(run, retry(10), at(1)).await;
    assert_can_do_nothing(&world, run).await;
}

#[tokio::test]
async fn a_lost_run_can_do_nothing() {
    let world = World::new().await;
    let run = world.running(job_with_callback()).await;
    assert_eq!(world.reap(at(60_000), 10).await.unwrap().runs, [run]);
    assert_can_do_nothing(&world, run).await;
}

#[tokio::test]
async fn a_cancelled_run_can_do_nothing() {
    let world = World::new().await;
    let run = world.running(job_with_callback()).await;
    world.cancel(run.job, at(1)).await.unwrap();
    assert_can_do_nothing(&world, run).await;
}

#[tokio::test]
async fn a_released_run_can_do_nothing() {
    let world = World::new().await;
    let run = world.running(job_with_callback()).await;
    world.release(run, at(1)).await.unwrap();
    assert_can_do_nothing(&world, run).await;
}

#[tokio::test]
async fn a_stale_run_can_do_nothing_while_another_one_holds_the_job() {
    let world = World::new().await;
    let stale = world.running(job_with_callback()).await;
    world.reap(at(60_000), 10).await.unwrap();
    let held = world.claimed(at(60_001)).await.run;
    assert_eq!(world.set(held, key(), b"v".to_vec(), 1000).await.unwrap(), Written::Stored);
    assert_can_do_nothing(&world, stale).await;

    assert_eq!(world.renew(&[stale, held], at(200_000)).await.unwrap(), [stale]);
    assert_eq!(world.end(held, done(), at(60_002)).await, State::Done);
}

#[tokio::test]
async fn a_token_that_was_never_given_can_do_nothing() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    for token in [0, 2, -1, i64::MAX] {
        assert_can_do_nothing(&world, Run { token, ..run }).await;
    }
    assert_eq!(world.end(run, done(), at(1)).await, State::Done);
}

#[tokio::test]
async fn the_token_grows_with_every_claim_whatever_ended_the_one_before() {
    let world = World::new().await;
    let id = world.running(new_job()).await.job;
    let mut token = 1;
    for round in 1..=6_u64 {
        let run = Run { job: id, token };
        let now = at(round * 100_000);
        match round % 3 {
            0 => world.release(run, now).await.unwrap(),
            1 => drop(
                world.end(run, Verdict::Postpone { delay_ms: 0, failure: failure() }, now).await,
            ),
            _ => drop(world.end(run, retry(0), now).await),
        }
        world.promote(now, 10).await.unwrap();
        let next = world.claimed(now).await.run;
        assert_eq!(next.token, token + 1);
        token = next.token;
    }
}

#[tokio::test]
async fn a_renewed_lease_does_not_expire() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    assert_eq!(world.renew(&[run], at(200_000)).await.unwrap(), []);
    let swept = world.reap(at(199_999), 10).await.unwrap();
    assert_eq!((swept.runs, swept.next_at), (vec![], Some(at(200_000))));
    assert_eq!(world.reap(at(200_000), 10).await.unwrap().runs, [run]);
}

#[tokio::test]
async fn a_stale_run_does_not_prolong_the_lease_of_the_one_that_holds_the_job() {
    let world = World::new().await;
    let stale = world.running(new_job()).await;
    world.reap(at(60_000), 10).await.unwrap();
    let held = world.claimed(at(60_000)).await.run;
    assert_eq!(world.renew(&[stale], at(900_000)).await.unwrap(), [stale]);
    assert_eq!(world.reap(at(120_000), 10).await.unwrap().runs, [held]);
}

#[tokio::test]
async fn a_run_of_a_deleted_job_can_do_nothing_to_a_new_job_of_its_id() {
    let world = World::new().await;
    let job = new_job();
    let old = world.running(job.clone()).await;
    world.end(old, Verdict::Fail { failure: failure() }, at(1)).await;
    let cleared = world.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!(cleared.jobs, 1);
    let new = world.running(job).await;
    assert_eq!(new.job, old.job);
    assert!(new.token > old.token, "{} {}", new.token, old.token);
    assert_fenced(&world.finish(old, ending(done(), at(2))).await);
    assert_eq!(world.end(new, done(), at(3)).await, State::Done);
    let attempts = world.attempts(new.job).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].attempt), (1, 1));
}
