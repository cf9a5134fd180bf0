//! Jobs that were over before they were written down.

use std::sync::Arc;

use roughneck_jobs::{
    class::{CLIENT, Class, Slots},
    delivery::{DeliveryOutcome, Notice},
    event::JobEvent,
    finish::{Finish, Verdict},
    guard::Runaway,
    job::{Attempt, Job, LogLevel, LogLine, NewJob},
    mark::{Mark, Marks},
    past::{Fate, Past},
    ports::{bell::Change, outbox::Busy, store::StoreError},
    run::LEASE_MS,
    state::State,
    usage::Usage,
};

use crate::{
    database::{self, no_marks},
    given::{Everything, World, at, done, ending, failure, job_with_callback, retry},
};

fn call() -> NewJob {
    let class = Class(CLIENT.to_owned());
    let (model, trace_parent) = (Some("qwen3".to_owned()), Some("00-ab-cd-01".to_owned()));
    NewJob { class, attempts_max: 1, model, trace_parent, ..job_with_callback() }
}

fn ran(job: NewJob, verdict: Verdict) -> Arc<Past> {
    Arc::new(Past { job, fate: Fate::Ran { began: at(3), finish: Box::new(finish(verdict)) } })
}

fn finish(verdict: Verdict) -> Finish {
    let notice = |event: &str| Notice {
        target: "cms".to_owned(),
        event: event.to_owned(),
        data: r#"{"n":1}"#.to_owned(),
    };
    Finish {
        usage: Usage { calls: 1, output_tokens: 9, ..Usage::default() },
        log: vec![LogLine { at: at(4), level: LogLevel::Info, message: "it is said".to_owned() }],
        notices: vec![notice("first"), notice("second")],
        ..ending(verdict, at(7))
    }
}

fn withdrawn(job: NewJob) -> Arc<Past> {
    let fate = Fate::Withdrawn { reason: "the client left".to_owned(), at: at(5) };
    Arc::new(Past { job, fate })
}

/// All that is written about a job but the ids of its deliveries, which are drawn.
fn told(everything: Everything) -> (Option<Job>, Vec<Attempt>, Vec<JobEvent>, Vec<String>) {
    let Everything { job, attempts, events, deliveries } = everything;
    (job, attempts, events, deliveries.into_iter().map(|delivery| delivery.body).collect())
}

/// What is kept of it by the commands of a job that goes on, in a database of its own.
async fn one_by_one(Past { job, fate }: &Past) -> Everything {
    let world = World::new().await;
    world.set_slots(&[Slots { class: job.class.clone(), count: 1 }]).await.unwrap();
    world.submitted(job.clone()).await;
    match fate {
        Fate::Ran { began, finish } => {
            let run = world.begin(job.id, *began, began.plus_ms(LEASE_MS)).await.unwrap().unwrap();
            world.finish(run, Finish::clone(finish)).await.unwrap();
        }
        Fate::Withdrawn { reason, at } => {
            world.withdraw(job.id, reason, *at).await.unwrap();
        }
    }
    world.everything(job.id).await
}

#[tokio::test]
async fn what_is_kept_of_it_is_what_would_be_if_it_had_been_told_one_by_one() {
    for past in [
        ran(call(), done()),
        ran(call(), Verdict::Fail { failure: failure() }),
        ran(call(), Verdict::Cancel { failure: failure() }),
        withdrawn(call()),
    ] {
        let world = World::new().await;
        let state = world.keep(Arc::clone(&past)).await.unwrap().unwrap();
        let kept = world.everything(past.job.id).await;
        assert_eq!(kept.job.as_ref().unwrap().state, state);
        assert_eq!(told(kept), told(one_by_one(&past).await));
        let changes = world.rung().await;
        assert!(changes.contains(&Change::Job(past.job.id)), "{changes:?}");
        assert!(changes.contains(&Change::Delivery), "{changes:?}");
    }
}

#[tokio::test]
async fn it_takes_no_slot_and_counts_as_no_open_job() {
    let database = database::new();
    let world = World::with_marks(&*database, Marks { jobs_max: 1, ..no_marks() }).await;
    for _ in 0..3 {
        let past = ran(call(), done());
        assert_eq!(world.keep(past).await.unwrap(), Some(State::Done));
    }
    assert_eq!(world.passed_mark(), None);
    assert!(world.counts().await.unwrap().is_empty());
    world.submitted(call()).await;
    let full = world.keep(ran(call(), done())).await;
    assert!(matches!(full, Err(StoreError::Full(passed)) if passed.mark == Mark::Jobs));
}

#[tokio::test]
async fn the_job_that_has_its_id_stands() {
    let world = World::new().await;
    let first = world.submitted(call()).await;
    let second = ran(call(), done());
    world.keep(Arc::clone(&second)).await.unwrap();
    for id in [first, second.job.id] {
        let before = world.everything(id).await;
        let again = || NewJob { id, ..call() };
        for past in [ran(again(), Verdict::Fail { failure: failure() }), withdrawn(again())] {
            assert_eq!(world.keep(past).await.unwrap(), None);
        }
        assert_eq!(world.everything(id).await, before);
    }
}

#[tokio::test]
async fn those_that_come_together_are_answered_one_by_one() {
    let world = World::new().await;
    let (known, unending) = (call(), Verdict::Retry { delay_ms: 1, failure: failure() });
    world.submitted(known.clone()).await;
    let (one, two) = (ran(call(), done()), withdrawn(call()));
    let (first, bad, old, last) = tokio::join!(
        world.keep(Arc::clone(&one)),
        world.keep(ran(call(), unending)),
        world.keep(ran(known, done())),
        world.keep(Arc::clone(&two)),
    );
    assert_eq!((first.unwrap(), last.unwrap()), (Some(State::Done), Some(State::Cancelled)));
    assert!(matches!(bad, Err(StoreError::Refused(_))), "{bad:?}");
    assert_eq!(old.unwrap(), None);
    for past in [one, two] {
        let kept = world.everything(past.job.id).await;
        assert_eq!(told(kept), told(one_by_one(&past).await));
    }
}

#[tokio::test]
async fn of_a_batch_of_any_size_nothing_is_missing_and_nothing_is_anothers() {
    let world = World::new().await;
    for size in [2, 3, 5, 9] {
        let fate = |n: u8| match n % 3 {
            0 => withdrawn(call()),
            1 => ran(call(), done()),
            _ => ran(call(), Verdict::Fail { failure: failure() }),
        };
        let pasts: Vec<_> = (0..size).map(fate).collect();
        let kept = pasts.iter().map(|past| world.keep(Arc::clone(past)));
        for kept in futures_util::future::join_all(kept).await {
            assert!(kept.unwrap().is_some());
        }
        for past in pasts {
            let kept = world.everything(past.job.id).await;
            assert_eq!(told(kept), told(one_by_one(&past).await));
        }
    }
}

#[tokio::test]
async fn a_verdict_that_does_not_end_it_leaves_nothing_behind() {
    let world = World::new().await;
    let past = ran(call(), retry(5));
    assert!(matches!(world.keep(Arc::clone(&past)).await, Err(StoreError::Refused(_))));
    assert_eq!(world.everything(past.job.id).await.job, None);
}

#[tokio::test]
async fn its_run_has_a_higher_token_than_any_of_a_deleted_job() {
    let world = World::new().await;
    let past = ran(call(), Verdict::Fail { failure: failure() });
    let mut runs = Vec::new();
    for _ in 0..3 {
        world.keep(Arc::clone(&past)).await.unwrap().unwrap();
        runs.push(world.attempts(past.job.id).await.unwrap()[0].run);
        // Its callback keeps it from being deleted until that is told.
        for delivery in world.due_deliveries(at(9), 9, &Busy::default()).await.unwrap().due {
            world.record_delivery(delivery.id, DeliveryOutcome::Delivered, at(9)).await.unwrap();
        }
        assert_eq!(world.retire(State::Failed, at(100), 9).await.unwrap(), 1);
    }
    assert!(runs.is_sorted_by(|one, next| one < next), "{runs:?}");
}

#[tokio::test]
async fn calls_that_come_too_fast_do_not_pause_the_durable_jobs_of_their_kind() {
    let world = World::new().await;
    let flood = |_| {
        let job = NewJob { callback: None, kind: "test.flood".to_owned(), ..call() };
        let finish = Box::new(ending(done(), at(0)));
        world.keep(Arc::new(Past { job, fate: Fate::Ran { began: at(0), finish } }))
    };
    let kept = futures_util::future::join_all((0..=Runaway::default().per_minute).map(flood)).await;
    assert!(kept.into_iter().all(|kept| matches!(kept, Ok(Some(State::Done)))));
    assert_eq!(world.pauses().await.unwrap(), []);
}
