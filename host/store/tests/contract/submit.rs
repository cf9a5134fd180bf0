//! Accepting jobs.

use std::sync::Arc;

use roughneck_jobs::{
    job::NewJob,
    ports::{
        bell::Change,
        store::{StoreError, Submitted},
    },
    state::State,
};

use crate::given::{World, at, io, job_id, new_job};

#[tokio::test]
async fn a_submitted_job_reads_back_as_it_was_written() {
    let world = World::new().await;
    let new = NewJob {
        callback: Some("https://example.org/hook".parse().unwrap()),
        trace_parent: Some("00-1-2-01".to_owned()),
        caller: Some("alice".parse().unwrap()),
        rank: at(3),
        ..new_job()
    };
    assert_eq!(world.submit(new.clone()).await.unwrap(), Submitted::Created(new.id));

    let job = world.get_job(new.id).await;
    assert_eq!(job.state, State::Queued);
    assert_eq!((&job.kind, &job.class, job.priority), (&new.kind, &new.class, new.priority));
    assert_eq!((job.rank, &job.input), (new.rank, &new.input));
    assert_eq!((job.enqueued_at, job.run_at), (new.enqueued_at, new.run_at));
    assert_eq!((job.attempt, job.attempts_max, job.losses), (0, 4, 0));
    assert_eq!((job.callback, job.trace_parent), (new.callback, new.trace_parent));
    assert_eq!(job.caller, new.caller);
    assert_eq!((job.started_at, job.finished_at, job.output), (None, None, None));
    assert_eq!(world.states(new.id).await, [State::Queued]);
}

#[tokio::test]
async fn the_same_id_is_the_same_job_and_the_first_submission_stands() {
    let world = World::new().await;
    let first = new_job();
    let second = NewJob { input: "2".to_owned(), ..first.clone() };
    assert_eq!(world.submit(first.clone()).await.unwrap(), Submitted::Created(first.id));
    assert_eq!(world.submit(second).await.unwrap(), Submitted::Existing(first.id));
    assert_eq!(world.get_job(first.id).await.input, first.input);
    assert_eq!(world.states(first.id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_submissions_of_one_id_at_once_exactly_one_creates() {
    let world = Arc::new(World::new().await);
    let job = new_job();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (world, job) = (world.clone(), job.clone());
            tokio::spawn(async move { world.submit(job).await.unwrap() })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += u32::from(task.await.unwrap() == Submitted::Created(job.id));
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn a_known_id_is_known_in_every_state() {
    let world = World::new().await;
    let job = new_job();
    let run = world.running(job.clone()).await;
    assert_eq!(world.submit(job.clone()).await.unwrap(), Submitted::Existing(job.id));
    world.end(run, crate::given::done(), at(1)).await;
    assert_eq!(world.submit(job.clone()).await.unwrap(), Submitted::Existing(job.id));
    assert_eq!(world.get_job(job.id).await.state, State::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_the_database_refuses_spoils_no_other_submission() {
    let world = Arc::new(World::new().await);
    let submit = |attempts_max| {
        let world = world.clone();
        let job = NewJob { attempts_max, ..new_job() };
        tokio::spawn(async move { (job.id, world.submit(job).await) })
    };
    let tasks: Vec<_> = (0..40).map(|n| submit(u32::from(n % 4 != 0))).collect();
    let mut accepted = 0;
    for (n, task) in tasks.into_iter().enumerate() {
        let (id, result) = task.await.unwrap();
        if n % 4 == 0 {
            let error = result.unwrap_err();
            assert!(matches!(error, StoreError::Broken { doing: "accept a job", .. }), "{error:?}");
            assert_eq!(world.job(id).await.unwrap(), None);
        } else {
            assert_eq!(result.unwrap(), Submitted::Created(id));
            accepted += 1;
        }
    }
    assert_eq!(accepted, 30);
}

#[tokio::test]
async fn a_submission_rings_for_its_class_or_for_its_due_time() {
    let world = World::new().await;
    world.rung().await;
    let now = world.submitted(new_job()).await;
    assert_eq!(world.rung().await, [Change::Job(now), Change::Class(io())]);
    let later = world.submitted(NewJob { run_at: at(5), ..new_job() }).await;
    assert_eq!(world.rung().await, [Change::Job(later), Change::Due]);
    assert_eq!(world.get_job(later).await.state, State::Scheduled);
}

#[tokio::test]
async fn an_unknown_job_is_none() {
    assert_eq!(World::new().await.job(job_id()).await.unwrap(), None);
}
