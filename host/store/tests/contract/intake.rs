//! High-water marks: what is refused above them, and what goes on.

use roughneck_jobs::{
    input_key::UniqueKey,
    job::{DeadLetters, NewJob},
    mark::{Mark, Marks},
    ports::{
        schedules::{Settled, Settlement},
        store::{StoreError, Submitted, Verdict},
    },
    schedule::Overlap,
    state::State,
};

use crate::{
    database::{self, no_marks},
    given::{World, at, done, failure, fired, new_job, retry},
};

fn jobs_max(jobs_max: u64) -> Marks {
    Marks { jobs_max, ..no_marks() }
}

fn assert_full<T: std::fmt::Debug>(result: Result<T, StoreError>, full: Mark) {
    match result {
        Err(StoreError::Full(passed)) => assert_eq!(passed.mark, full),
        other => panic!("{other:?}"),
    }
}

const SCHEDULE: &str = "plugin/nightly";

async fn settle(world: &World, fires: &[u64]) -> Result<Settled, StoreError> {
    let kept = world.remember_schedule(SCHEDULE, "UTC 0 3 * * *", at(0)).await.unwrap();
    let jobs = fires.iter().map(|&fire| fired(SCHEDULE, fire)).collect();
    let (schedule, overlap) = (SCHEDULE.to_owned(), Overlap::Queue);
    let revision = kept.revision;
    let settlement = Settlement { schedule, revision, up_to: at(30), jobs, missed: 0, overlap };
    world.settle(settlement).await
}

#[tokio::test]
async fn a_full_store_refuses_new_jobs_and_does_everything_else() {
    let database = database::new();
    let world = World::with_marks(&*database, jobs_max(4)).await;
    let unique = Some(UniqueKey { key: "draft 7".to_owned(), until: Some(at(500)) });
    let idempotency_key = Some("order-7".to_owned());
    let keyed = NewJob { idempotency_key, unique: unique.clone(), ..new_job() };
    let first = world.submitted(keyed.clone()).await;
    let jobs = [new_job(), new_job(), new_job()];
    for job in &jobs {
        assert_eq!(world.passed_mark(), None);
        world.submitted(job.clone()).await;
    }
    let passed = world.passed_mark().unwrap();
    assert_eq!((passed.mark, passed.level, passed.limit), (Mark::Jobs, 4, 4));
    assert_full(world.submit(new_job()).await, Mark::Jobs);

    let again = NewJob { id: new_job().id, unique: None, ..keyed };
    assert_eq!(world.submit(again).await.unwrap(), Submitted::Existing(first));
    let same = NewJob { unique, ..new_job() };
    assert_eq!(world.submit(same.clone()).await.unwrap(), Submitted::Existing(first));
    let too_late = NewJob { enqueued_at: at(500), ..same };
    assert_full(world.submit(too_late).await, Mark::Jobs);
    let again = NewJob { id: jobs[0].id, ..new_job() };
    assert_eq!(world.submit(again).await.unwrap(), Submitted::Existing(jobs[0].id));
    let run = world.claimed(at(1)).await.run;
    assert_eq!(world.end(run, retry(1), at(2)).await, State::Scheduled);
    world.promote(at(3), 9).await.unwrap();
    world.cancel(jobs[2].id, at(4)).await.unwrap();

    assert_eq!(world.passed_mark(), None);
    world.submitted(new_job()).await;
    assert_full(world.submit(new_job()).await, Mark::Jobs);
}

#[tokio::test]
async fn a_full_store_leaves_the_fires_of_schedules_for_later() {
    let database = database::new();
    let world = World::with_marks(&*database, jobs_max(1)).await;
    let id = world.submitted(new_job()).await;
    assert_full(settle(&world, &[10]).await, Mark::Jobs);
    assert_eq!(world.schedule(SCHEDULE).await.unwrap().unwrap().handled_up_to, at(0));
    world.cancel(id, at(11)).await.unwrap();
    assert!(matches!(settle(&world, &[10]).await, Ok(Settled::Submitted(jobs)) if jobs.len() == 1));
    let without_room = settle(&world, &[]).await.unwrap();
    assert_eq!(without_room, Settled::Submitted(Vec::new()), "that needs no room");
}

/// Does to jobs whatever changes how many have not ended.
async fn live_through(world: &World) {
    let jobs: Vec<NewJob> = (0..7).map(|_| new_job()).collect();
    let unwanted = new_job();
    let later = NewJob { run_at: at(1_000_000), ..new_job() };
    for job in jobs.iter().chain([&unwanted, &later, &unwanted]) {
        world.submitted(job.clone()).await;
    }
    let broken = NewJob { attempts_max: 0, ..new_job() };
    world.submit(broken).await.unwrap_err();
    world.end(world.claimed(at(1)).await.run, done(), at(2)).await;
    world.end(world.claimed(at(3)).await.run, retry(5), at(4)).await;
    for _ in 0..2 {
        let fail = Verdict::Fail { failure: failure() };
        world.end(world.claimed(at(5)).await.run, fail, at(6)).await;
    }
    world.release(world.claimed(at(7)).await.run, at(8)).await.unwrap();
    world.cancel(unwanted.id, at(9)).await.unwrap();
    world.cancel(unwanted.id, at(9)).await.unwrap();
    world.retry(unwanted.id, at(10)).await.unwrap();
    let any = DeadLetters::default();
    assert_eq!(world.retry_many(any.clone(), 1, at(11)).await.unwrap().jobs, 1);
    assert_eq!(world.purge(any, 9).await.unwrap().jobs, 1);
    assert_eq!(world.retire(State::Done, at(12), 9).await.unwrap(), 1);
    let settled = settle(world, &[10, 10]).await;
    assert!(matches!(settled, Ok(Settled::Submitted(jobs)) if jobs.len() == 1));
    world.claimed(at(13)).await;
    assert_eq!(world.recover(at(14)).await.unwrap(), 1);
    for now in [15, 16] {
        world.claimed(at(now)).await;
        world.recover(at(now)).await.unwrap();
    }
}

#[tokio::test]
async fn the_count_of_jobs_that_have_not_ended_is_exact_whatever_happens_to_them() {
    let marks = jobs_max(19);
    let database = database::new();
    let world = World::with_marks(&*database, marks).await;
    live_through(&world).await;
    let open: u64 = world.counts().await.unwrap().iter().map(|count| count.jobs).sum();
    assert_eq!(open, 7, "the story has changed");
    for _ in open..marks.jobs_max {
        world.submitted(new_job()).await;
    }
    assert_full(world.submit(new_job()).await, Mark::Jobs);
}
