//! Accepting flows.

use std::sync::Arc;

use roughneck_jobs::{
    flow::NewFlow,
    input_key::UniqueKey,
    job::NewJob,
    mark::Marks,
    ports::{bell::Change, flows::SubmittedFlow, store::StoreError},
    state::State,
};

use super::planted::{Planted, flow, flow_id};
use crate::{
    database,
    given::{World, at, io, job_id, new_job},
};

#[tokio::test]
async fn a_flow_comes_in_whole_and_only_what_needs_nothing_may_run() {
    let world = World::wide().await;
    let flow = world.plant(&["c: a b", "a", "b: a"]).await;
    assert_eq!(world.told(&flow).await, "a=queued b=blocked c=blocked");
    assert_eq!([world.waits(&flow, "b").await, world.waits(&flow, "c").await], [1, 2]);
    let rung = world.rung.after(&*world.store).await;
    for name in ["a", "b", "c"] {
        assert!(rung.contains(&Change::Job(flow.job(name))), "{name}");
        let first = world.events(flow.job(name), 0).await.unwrap();
        assert_eq!(first.len(), 1, "{name}");
    }
    assert!(rung.contains(&Change::Class(io())));
    let member = world.job_of(&flow, "b").await.member.unwrap();
    assert_eq!((member.flow, member.name.as_str()), (flow.id, "b"));
    let claimed = world.claim_all(at(1)).await;
    assert_eq!(claimed.keys().copied().collect::<Vec<_>>(), [flow.job("a")]);
}

#[tokio::test]
async fn a_job_without_needs_that_is_due_later_is_scheduled() {
    let world = World::wide().await;
    let mut new = flow(&["a", "b: a"]);
    new.jobs.iter_mut().for_each(|job| job.run_at = at(50));
    let flow = world.plant_as(new).await;
    assert_eq!(world.told(&flow).await, "a=scheduled b=blocked");
}

#[tokio::test]
async fn the_same_id_and_the_same_key_are_the_same_flow() {
    let world = World::wide().await;
    let keyed = |new: NewFlow| NewFlow { idempotency_key: Some("letter-7".into()), ..new };
    let first = keyed(flow(&["a", "b: a"]));
    assert_eq!(world.submit_flow(first.clone()).await.unwrap(), SubmittedFlow::Created(first.id));
    let same_id = NewFlow { id: first.id, ..flow(&["x"]) };
    let same_key = keyed(flow(&["y"]));
    for again in [first.clone(), same_id.clone(), same_key.clone()] {
        let submitted = world.submit_flow(again).await.unwrap();
        assert_eq!(submitted, SubmittedFlow::Existing(first.id));
    }
    for other in [&same_id, &same_key] {
        assert_eq!(world.job(other.jobs[0].id).await.unwrap(), None);
    }
    let known = world.flow_of_key("letter-7").await.unwrap().unwrap();
    assert_eq!((known.id, known.digest.as_str()), (first.id, "digest of a;b: a"));
    assert_eq!(world.flow_of_key("other").await.unwrap(), None);
    assert_eq!(world.flow(flow_id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_flow_with_a_job_that_is_there_leaves_nothing_behind() {
    let world = World::wide().await;
    let there = world.submitted(new_job()).await;
    let mut new = flow(&["a", "b: a"]);
    new.jobs[1].id = there;
    let before = world.everything(there).await;
    let error = world.submit_flow(new.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::JobExists(id) if id == there), "{error}");
    assert_eq!(world.flow(new.id).await.unwrap(), None);
    assert_eq!(world.job(new.jobs[0].id).await.unwrap(), None);
    assert_eq!(world.everything(there).await, before);
    new.jobs[1].id = job_id();
    world.submit_flow(new).await.unwrap();
}

#[tokio::test]
async fn a_flow_with_a_job_whose_unique_key_is_taken_leaves_nothing_behind() {
    let world = World::wide().await;
    let unique = Some(UniqueKey { key: "draft 7".into(), until: None });
    let holder = world.submitted(NewJob { unique: unique.clone(), ..new_job() }).await;
    let mut new = flow(&["a", "b: a"]);
    new.jobs[1].unique = unique;
    let error = world.submit_flow(new.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::JobExists(id) if id == holder), "{error}");
    assert_eq!(world.flow(new.id).await.unwrap(), None);
    world.cancel(holder, at(1)).await.unwrap();
    world.submit_flow(new).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_submissions_of_one_key_at_once_exactly_one_creates() {
    let world = Arc::new(World::wide().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let new = NewFlow { idempotency_key: Some("k".into()), ..flow(&["a", "b: a"]) };
            let world = world.clone();
            tokio::spawn(async move { world.submit_flow(new).await.unwrap() })
        })
        .collect();
    let (mut created, mut ids) = (0, Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            SubmittedFlow::Created(id) => {
                created += 1;
                ids.push(id);
            }
            SubmittedFlow::Existing(id) => ids.push(id),
        }
    }
    ids.dedup();
    assert_eq!((created, ids.len()), (1, 1));
    assert_eq!(world.claim_all(at(1)).await.len(), 1);
}

#[tokio::test]
async fn a_full_store_refuses_new_flows_and_answers_repeated_ones() {
    let database = database::new();
    let marks = Marks { jobs_max: 2, ..database::no_marks() };
    let world = World::with_marks(&*database, marks).await;
    let keyed = |new: NewFlow| NewFlow { idempotency_key: Some("letter-7".into()), ..new };
    let first = keyed(flow(&["a", "b: a"]));
    world.submit_flow(first.clone()).await.unwrap();
    let error = world.submit_flow(flow(&["a"])).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    for again in [NewFlow { id: first.id, ..flow(&["x"]) }, keyed(flow(&["y"]))] {
        let submitted = world.submit_flow(again).await.unwrap();
        assert_eq!(submitted, SubmittedFlow::Existing(first.id));
    }
    world.cancel_flow(first.id, at(1)).await.unwrap();
    world.submit_flow(flow(&["a"])).await.unwrap();
}

#[tokio::test]
async fn a_rank_is_kept_through_all_the_waiting() {
    let world = World::new().await;
    let mut new = flow(&["a", "b: a"]);
    new.jobs[1].rank = at(1);
    let flow = Planted::of(&new);
    world.submit_flow(new).await.unwrap();
    world.submitted(NewJob { rank: at(2), ..new_job() }).await;
    let run = world.claimed(at(10)).await.run;
    world.end(run, crate::given::done(), at(11)).await;
    assert_eq!(world.claimed(at(12)).await.job.id, flow.job("b"), "it was there before the other");
    assert_eq!(world.job_of(&flow, "b").await.state, State::Working);
}
