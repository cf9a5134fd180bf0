//! Cancelling flows.

use std::collections::HashSet;

use roughneck_jobs::{
    flow::FlowState,
    ports::{flows::CancelledFlow, store::StoreError},
    run::Run,
    state::State,
};

use super::planted::{fatal, flow, flow_id};
use crate::given::{World, assert_fenced, at, done, ending};

#[tokio::test]
async fn all_that_is_not_over_is_cancelled_and_nothing_fails_because_of_it() {
    let world = World::wide().await;
    let mut new = flow(&["done", "runs", "waits: done", "later", "b: runs waits later", "c: b"]);
    new.jobs[3].run_at = at(99);
    let flow = world.plant_as(new).await;
    let runs = world.claim_all(at(1)).await;
    world.end(runs[&flow.job("done")], done(), at(2)).await;
    let run = runs[&flow.job("runs")];
    let cancelled = world.cancel_flow(flow.id, at(3)).await.unwrap();
    assert_eq!((cancelled.jobs, cancelled.runs), (5, vec![run]));
    let told = "b=cancelled c=cancelled done=done later=cancelled runs=cancelled waits=cancelled";
    assert_eq!(world.told(&flow).await, told);
    assert_eq!(world.stands(&flow).await, FlowState::Cancelled);
    assert_fenced(&world.finish(run, ending(done(), at(4))).await);
    let reason = world.job_of(&flow, "c").await.reason;
    assert_eq!(reason.as_deref(), Some("cancelled with its flow"));
    assert_eq!(world.outcomes(flow.job("runs")).await, ["cancelled"]);
    assert_eq!(world.counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_flow_that_is_over_and_one_that_is_not_there_are_told_apart() {
    let world = World::wide().await;
    let flow = world.plant(&["a"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    assert_eq!(world.cancel_flow(flow.id, at(2)).await.unwrap(), CancelledFlow::default());
    let unknown = flow_id();
    let error = world.cancel_flow(unknown, at(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchFlow(id) if id == unknown), "{error}");
}

#[tokio::test]
async fn a_slot_of_a_cancelled_flow_is_free_at_once_and_other_flows_go_on() {
    let world = World::new().await;
    let (one, two) = (world.plant(&["a", "b"]).await, world.plant(&["a", "b: a"]).await);
    let claimed: HashSet<Run> = world.claim_all(at(1)).await.into_values().collect();
    assert_eq!(claimed.len(), 2, "the world has two slots");
    let cancelled = world.cancel_flow(one.id, at(2)).await.unwrap();
    assert_eq!(cancelled.runs.into_iter().collect::<HashSet<_>>(), claimed);
    world.finish_all(at(3)).await;
    assert_eq!(world.told(&two).await, "a=done b=done");
    assert_eq!(world.job_of(&one, "a").await.state, State::Cancelled);
}
