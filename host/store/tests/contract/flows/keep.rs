//! How long jobs of flows are kept.

use roughneck_jobs::{flow::FlowState, job::DeadLetters, state::State};

use super::planted::{Planted, fatal};
use crate::given::{World, at, done};

async fn kept(world: &World, flow: &Planted) -> Vec<String> {
    let mut kept = Vec::new();
    for (name, id) in &flow.jobs {
        if world.job(*id).await.unwrap().is_some() {
            kept.push(name.clone());
        }
    }
    kept
}

/// Deletes all that ended long ago.
async fn retire(world: &World) -> u32 {
    let mut retired = 0;
    for state in [State::Done, State::Failed, State::Cancelled] {
        retired += world.retire(state, at(1_000), 100).await.unwrap();
    }
    retired
}

#[tokio::test]
async fn nothing_of_a_flow_is_deleted_before_all_of_it_is_over() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "c: a b?", "d: a"]).await;
    world.run(&flow, "a", done(), at(1)).await;
    world.run(&flow, "b", fatal(), at(1)).await;
    world.cancel(flow.job("d"), at(1)).await.unwrap();
    assert_eq!(retire(&world).await, 0);
    let all = world.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!((all.jobs, all.left), (0, 1));
    assert_eq!(kept(&world, &flow).await, ["a", "b", "c", "d"]);
    world.run(&flow, "c", done(), at(2)).await;
    assert_eq!(retire(&world).await, 4);
    assert!(kept(&world, &flow).await.is_empty());
    assert_eq!(world.flow(flow.id).await.unwrap(), None, "it went with its last job");
    assert_eq!(world.parts(flow.id).await.unwrap(), []);
}

#[tokio::test]
async fn a_flow_that_is_over_goes_job_by_job_and_says_how_many_it_had() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a?"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    world.run(&flow, "b", done(), at(2)).await;
    assert_eq!(world.retire(State::Done, at(2), 9).await.unwrap(), 1);
    let rest = world.get_flow(&flow).await;
    assert_eq!((rest.jobs, rest.tallies.len(), rest.state()), (2, 1, FlowState::Failed));
    assert_eq!(world.purge(DeadLetters::default(), 9).await.unwrap().jobs, 1);
    assert_eq!(world.flow(flow.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_flow_that_runs_keeps_no_other_from_going() {
    let world = World::wide().await;
    let open = world.plant(&["a", "b"]).await;
    world.run(&open, "a", done(), at(1)).await;
    let over = world.plant(&["a"]).await;
    world.run(&over, "a", done(), at(2)).await;
    assert_eq!(world.retire(State::Done, at(9), 1).await.unwrap(), 1);
    assert!(kept(&world, &over).await.is_empty());
    assert_eq!(kept(&world, &open).await, ["a", "b"]);
    assert_eq!(world.retire(State::Done, at(9), 1).await.unwrap(), 0);
}

#[tokio::test]
async fn the_key_of_a_flow_is_free_when_it_is_gone() {
    let world = World::wide().await;
    let keyed = || {
        let new = super::planted::flow(&["a"]);
        roughneck_jobs::flow::NewFlow { idempotency_key: Some("k".into()), ..new }
    };
    let flow = world.plant_as(keyed()).await;
    world.run(&flow, "a", done(), at(1)).await;
    retire(&world).await;
    assert_eq!(world.flow_of_key("k").await.unwrap(), None);
    let again = world.plant_as(keyed()).await;
    assert_eq!(world.flow_of_key("k").await.unwrap().unwrap().id, again.id);
}
