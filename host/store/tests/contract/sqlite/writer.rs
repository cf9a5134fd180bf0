//! The writer: callers that leave, rows that cannot be read, groups of commits.

use std::{future::ready, sync::Arc};

use prometheus_client::{encoding::text::encode, registry::Registry};
use roughneck_jobs::{
    id::JobId,
    job::NewJob,
    ports::store::{Claim, Store as _, StoreError},
    run::Run,
    state::State,
};
use roughneck_store::SqliteStore;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    database::Sqlite,
    given::{Rung, at, done, ending, io, job_with_callback, new_job, slots},
};

async fn store(database: &Sqlite) -> SqliteStore {
    let store = database.store(Arc::new(Rung::default())).await;
    store.set_slots(&slots(10)).await.unwrap();
    store
}

fn claim(limit: u32) -> Claim {
    Claim { class: io(), limit, at: at(1), lease_until: at(60_000) }
}

/// A second pair of hands in the database, which no part of the product has.
async fn hands(database: &Sqlite) -> SqliteConnection {
    SqliteConnectOptions::new().filename(database.file()).connect().await.unwrap()
}

async fn number(database: &Sqlite, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&mut hands(database).await).await.unwrap()
}

/// Runs a call until it waits for its answer, then drops it.
macro_rules! abandon {
    ($call:expr) => {
        tokio::select! {
            biased;
            _ = $call => {}
            () = ready(()) => {}
        }
    };
}

#[tokio::test]
async fn callers_that_leave_do_not_hurt_the_writer() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let jobs: Vec<NewJob> = (0..50).map(|_| job_with_callback()).collect();
    for job in &jobs {
        abandon!(store.submit(job.clone()));
        abandon!(store.claim(claim(1)));
        abandon!(store.finish(Run { job: job.id, token: 1 }, ending(done(), at(2))));
        abandon!(store.cancel(job.id, at(3)));
        abandon!(store.reap(at(4), 10));
    }
    // The writer has taken all of it when it answers this.
    let last = store.submit(new_job()).await.unwrap().id();
    for job in &jobs {
        let state = store.job(job.id).await.unwrap().unwrap().state;
        assert!(state.is_terminal(), "what an absent caller wanted is done: {state:?}");
    }
    assert_eq!(number(&database, "SELECT count(*) FROM slot WHERE job IS NOT NULL").await, 0);
    let claimed = store.claim(claim(1)).await.unwrap();
    assert_eq!(claimed[0].job.id, last);
    assert_eq!(store.finish(claimed[0].run, ending(done(), at(5))).await.unwrap(), State::Done);
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let database = Sqlite::new();
    let store = Arc::new(store(&database).await);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.submit(new_job()).await.unwrap().id() })
        })
        .collect();
    for task in tasks {
        let id = task.await.unwrap();
        assert!(store.job(id).await.unwrap().is_some());
    }
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let commits = text.lines().find_map(|line| line.strip_prefix("roughneck_store_commits_total "));
    let commits: u32 = commits.unwrap().parse().unwrap();
    assert!(commits < 16, "64 submissions took {commits} commits");
}

#[tokio::test]
async fn a_failing_command_does_not_spoil_its_batch() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let (one, two) = (new_job(), new_job());
    let stale = Run { job: one.id, token: 7 };
    let broken = NewJob { attempts_max: 0, ..new_job() };
    let (first, fenced, unknown, refused, last) = tokio::join!(
        store.submit(one.clone()),
        store.finish(stale, ending(done(), at(1))),
        store.cancel(crate::given::job_id(), at(1)),
        store.submit(broken),
        store.submit(two.clone()),
    );
    assert_eq!((first.unwrap().id(), last.unwrap().id()), (one.id, two.id));
    assert!(matches!(fenced, Err(StoreError::Fenced)));
    assert!(matches!(unknown, Err(StoreError::NoSuchJob(_))));
    assert!(matches!(refused, Err(StoreError::Broken { .. })));
    assert_eq!(store.job(one.id).await.unwrap().unwrap().state, State::Queued);
}

#[tokio::test]
async fn an_input_of_megabytes_goes_through() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let input = format!("\"{}\"", "\\u0000é\\\\\\n".repeat(400_000));
    let jobs = [0; 3].map(|_| NewJob { input: input.clone(), ..new_job() });
    let (one, two, three) = tokio::join!(
        store.submit(jobs[0].clone()),
        store.submit(jobs[1].clone()),
        store.submit(jobs[2].clone()),
    );
    for submitted in [one, two, three] {
        let job = store.job(submitted.unwrap().id()).await.unwrap().unwrap();
        assert!(job.input == input);
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_do_not_keep_the_others_from_the_sweeps() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let job = |run_at| NewJob { run_at: at(run_at), ..job_with_callback() };
    let (bad, good) = (job(0), job(0));
    let (bad_later, good_later) = (job(10), job(20));
    for job in [&bad, &good, &bad_later, &good_later] {
        store.submit(job.clone()).await.unwrap();
    }
    assert_eq!(store.claim(claim(5)).await.unwrap().len(), 2);
    for id in [bad.id, bad_later.id] {
        sqlx::query("UPDATE job SET callback = 'no target!' WHERE id = ?1")
            .bind(id.to_string())
            .execute(&mut hands(&database).await)
            .await
            .unwrap();
    }
    let state = async |id: JobId| store.job(id).await.unwrap().unwrap().state;
    // One at a time, so that the bad row is all the first sweep sees.
    let jobs = async |limit| store.reap(at(60_000), limit).await.unwrap().jobs;
    assert_eq!((jobs(1).await, jobs(1).await), (0, 1));
    assert_eq!(state(good.id).await, State::Queued);
    let jobs = async |limit| store.promote(at(30), limit).await.unwrap().jobs;
    assert_eq!((jobs(1).await, jobs(1).await), (0, 1));
    assert_eq!(state(good_later.id).await, State::Queued);
    assert!(store.job(bad.id).await.unwrap_err().to_string().contains("read a job"));
    assert_eq!(store.recover(at(70_000)).await.unwrap(), 0);
}

#[tokio::test]
async fn the_database_refuses_what_the_domain_rules_out() {
    let database = Sqlite::new();
    let store = store(&database).await;
    store.submit(new_job()).await.unwrap();
    let forbidden = [
        "UPDATE job SET state = 'working'",
        "UPDATE job SET state = 'done'",
        "UPDATE job SET state = 'paused'",
        "UPDATE job SET state = 'failed', finished_at_ms = 1",
        "UPDATE job SET lease_until_ms = 1",
        "UPDATE job SET finished_at_ms = 1",
        "UPDATE job SET output = '1'",
        "UPDATE job SET failure = 'no JSON'",
        "UPDATE job SET attempts_max = 0",
        "UPDATE job SET losses = 1",
        "UPDATE slot SET job = (SELECT id FROM job)",
        "UPDATE slot SET job = (SELECT id FROM job), token = 1",
        "UPDATE class SET slots = -1",
        "INSERT INTO attempt (job, run, attempt, started_at_ms) VALUES ('nobody', 1, 1, 1)",
        "INSERT INTO job_event (job, seq, at_ms, state, attempt) SELECT id, 0, 0, 'queued', 0 FROM job",
    ];
    let mut hands = hands(&database).await;
    for statement in forbidden {
        let refused = sqlx::query(statement).execute(&mut hands).await;
        let error = refused.map(|done| done.rows_affected()).unwrap_err().to_string();
        assert!(error.contains("constraint failed"), "{statement}: {error}");
    }
}
