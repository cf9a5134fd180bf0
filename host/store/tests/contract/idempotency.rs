//! Idempotency keys: one job for each.

use std::sync::Arc;

use roughneck_jobs::{
    job::NewJob,
    ports::{bell::Change, store::Submitted},
    state::State,
};

use crate::given::{World, at, done, job_id, new_job};

fn keyed(key: &str) -> NewJob {
    NewJob { idempotency_key: Some(key.to_owned()), ..new_job() }
}

#[tokio::test]
async fn the_same_key_is_the_same_job_and_the_first_submission_stands() {
    let world = World::new().await;
    let first = keyed("order-7");
    let second = NewJob { input: "2".to_owned(), ..keyed("order-7") };
    assert_eq!(world.submit(first.clone()).await.unwrap(), Submitted::Created(first.id));
    world.rung().await;
    assert_eq!(world.submit(second.clone()).await.unwrap(), Submitted::Existing(first.id));
    assert_eq!(world.rung().await, []);
    assert_eq!(world.job(second.id).await.unwrap(), None);
    let job = world.job_of_key("order-7").await.unwrap().unwrap();
    assert_eq!((job.id, job.input), (first.id, first.input));
    assert_eq!(world.states(first.id).await, [State::Queued]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_submissions_of_one_key_at_once_exactly_one_creates() {
    let world = Arc::new(World::new().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (world, job) = (world.clone(), keyed("order-7"));
            tokio::spawn(async move { world.submit(job).await.unwrap() })
        })
        .collect();
    let (mut created, mut ids) = (0, Vec::new());
    for task in tasks {
        let submitted = task.await.unwrap();
        created += u32::from(matches!(submitted, Submitted::Created(_)));
        ids.push(submitted.id());
    }
    ids.dedup();
    assert_eq!((created, ids.len()), (1, 1));
    assert_eq!(world.claim_at(9, at(1)).await.len(), 1);
}

#[tokio::test]
async fn different_keys_and_no_keys_are_different_jobs() {
    let world = World::new().await;
    for job in [keyed("a"), keyed("b"), new_job(), new_job()] {
        assert_eq!(world.submit(job.clone()).await.unwrap(), Submitted::Created(job.id));
    }
    assert_eq!(world.job_of_key("c").await.unwrap(), None);
}

#[tokio::test]
async fn a_key_is_known_in_every_state() {
    let world = World::new().await;
    let run = world.running(keyed("order-7")).await;
    assert_eq!(world.submit(keyed("order-7")).await.unwrap(), Submitted::Existing(run.job));
    world.end(run, done(), at(1)).await;
    assert_eq!(world.submit(keyed("order-7")).await.unwrap(), Submitted::Existing(run.job));
}

#[tokio::test]
async fn a_key_says_more_than_an_id_and_a_new_key_does_not_free_a_known_id() {
    let world = World::new().await;
    let (first, other) = (keyed("a"), new_job());
    world.submitted(first.clone()).await;
    world.submitted(other.clone()).await;
    let both_known = NewJob { id: other.id, ..keyed("a") };
    assert_eq!(world.submit(both_known).await.unwrap(), Submitted::Existing(first.id));
    let id_known = NewJob { id: other.id, ..keyed("b") };
    assert_eq!(world.submit(id_known).await.unwrap(), Submitted::Existing(other.id));
    assert_eq!(world.job_of_key("b").await.unwrap(), None);
}

#[tokio::test]
async fn a_job_that_a_key_keeps_out_leaves_its_id_to_the_next_of_its_batch() {
    let world = World::new().await;
    let first = keyed("a");
    world.submitted(first.clone()).await;
    let id = job_id();
    let kept_out = NewJob { id, ..keyed("a") };
    let let_in = NewJob { id, input: "2".to_owned(), ..new_job() };
    world.rung().await;
    let (one, two) = tokio::join!(world.submit(kept_out), world.submit(let_in));
    assert_eq!(one.unwrap(), Submitted::Existing(first.id));
    assert_eq!(two.unwrap(), Submitted::Created(id));
    assert_eq!(world.get_job(id).await.input, "2");
    assert!(world.rung().await.contains(&Change::Job(id)));
}
