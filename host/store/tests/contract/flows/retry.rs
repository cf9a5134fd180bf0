//! Running parts of flows again.

use roughneck_jobs::{
    flow::FlowState,
    job::DeadLetters,
    ports::{
        bell::Change,
        flows::RetriedFlow,
        store::{Cleared, Retried, StoreError},
    },
    state::State,
};

use super::planted::{fatal, flow_id};
use crate::given::{World, at, done, io};

#[tokio::test]
async fn a_retried_job_brings_back_what_failed_because_of_it() {
    let world = World::wide().await;
    let flow = world.plant(&["ok", "a", "b: a ok", "c: b a", "d: c?"]).await;
    world.run(&flow, "ok", done(), at(1)).await;
    world.run(&flow, "a", fatal(), at(2)).await;
    assert_eq!(world.told(&flow).await, "a=failed b=failed c=failed d=queued ok=done");
    world.rung.after(&*world.store).await;
    assert_eq!(world.retry(flow.job("a"), at(3)).await.unwrap(), Retried::Queued);
    assert!(world.rung.after(&*world.store).await.contains(&Change::Class(io())));
    assert_eq!(world.told(&flow).await, "a=queued b=blocked c=blocked d=queued ok=done");
    assert_eq!([world.waits(&flow, "b").await, world.waits(&flow, "c").await], [1, 2]);
    let states = world.states(flow.job("b")).await;
    assert_eq!(states, [State::Blocked, State::Failed, State::Blocked]);
    assert_eq!(world.stands(&flow).await, FlowState::Running);
    world.finish_all(at(4)).await;
    assert_eq!(world.told(&flow).await, "a=done b=done c=done d=done ok=done");
    assert_eq!(world.stands(&flow).await, FlowState::Done);
}

#[tokio::test]
async fn a_second_failure_fails_them_again() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a", "c: b"]).await;
    for n in 0..3 {
        world.run(&flow, "a", fatal(), at(n)).await;
        assert_eq!(world.told(&flow).await, "a=failed b=failed c=failed");
        world.retry(flow.job("a"), at(n)).await.unwrap();
        assert_eq!(world.told(&flow).await, "a=queued b=blocked c=blocked");
    }
}

#[tokio::test]
async fn a_job_that_needs_another_one_without_a_result_cannot_come_back_alone() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "c: a b"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    world.run(&flow, "b", fatal(), at(1)).await;
    let before = world.everything(flow.job("c")).await;
    let retried = world.retry(flow.job("c"), at(2)).await.unwrap();
    assert_eq!(retried, Retried::HeldBack(flow.job("a")));
    assert_eq!(world.retry(flow.job("a"), at(2)).await.unwrap(), Retried::Queued);
    assert_eq!(world.everything(flow.job("c")).await, before, "`b` still has no result");
    assert_eq!(world.retry(flow.job("b"), at(3)).await.unwrap(), Retried::Queued);
    assert_eq!(world.waits(&flow, "c").await, 2);
}

#[tokio::test]
async fn a_cancelled_job_waits_again_for_what_is_not_over() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a"]).await;
    world.cancel(flow.job("b"), at(1)).await.unwrap();
    assert_eq!(world.retry(flow.job("b"), at(2)).await.unwrap(), Retried::Blocked);
    assert_eq!(world.waits(&flow, "b").await, 1);
    world.finish_all(at(3)).await;
    assert_eq!(world.told(&flow).await, "a=done b=done");
}

#[tokio::test]
async fn what_is_still_blocked_waits_for_a_job_that_comes_back() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "c: a? b"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    assert_eq!(world.waits(&flow, "c").await, 1);
    world.retry(flow.job("a"), at(2)).await.unwrap();
    assert_eq!(world.waits(&flow, "c").await, 2);
    world.run(&flow, "b", done(), at(3)).await;
    assert_eq!(world.waits(&flow, "c").await, 1);
    world.run(&flow, "a", fatal(), at(4)).await;
    assert_eq!(world.job_of(&flow, "c").await.state, State::Queued);
}

#[tokio::test]
async fn a_flow_runs_all_its_failed_and_cancelled_jobs_again() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a", "c", "d: c", "e", "f: b d e"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    world.run(&flow, "e", done(), at(1)).await;
    world.cancel_flow(flow.id, at(2)).await.unwrap();
    let told = "a=failed b=failed c=cancelled d=cancelled e=done f=failed";
    assert_eq!(world.told(&flow).await, told);
    let retried = world.retry_flow(flow.id, at(3)).await.unwrap();
    assert_eq!(retried, RetriedFlow { jobs: 5, held_back: 0 });
    let told = "a=queued b=blocked c=queued d=blocked e=done f=blocked";
    assert_eq!(world.told(&flow).await, told);
    assert_eq!(world.waits(&flow, "f").await, 2);
    assert_eq!(world.retry_flow(flow.id, at(4)).await.unwrap(), RetriedFlow::default());
    world.finish_all(at(5)).await;
    assert_eq!(world.stands(&flow).await, FlowState::Done);
    let unknown = flow_id();
    let error = world.retry_flow(unknown, at(5)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchFlow(id) if id == unknown), "{error}");
}

#[tokio::test]
async fn a_flow_does_not_wait_for_a_job_that_was_deleted() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a", "c: a?"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    world.run(&flow, "c", fatal(), at(2)).await;
    let all = DeadLetters::default();
    world.purge(all, 1).await.unwrap();
    assert_eq!(world.job(flow.job("a")).await.unwrap(), None, "it was the oldest");
    let retried = world.retry_flow(flow.id, at(3)).await.unwrap();
    assert_eq!(retried, RetriedFlow { jobs: 1, held_back: 1 });
    assert_eq!(world.job_of(&flow, "b").await.state, State::Failed);
    assert_eq!(world.job_of(&flow, "c").await.state, State::Queued, "it can do without");
    let held_back = world.retry(flow.job("b"), at(4)).await.unwrap();
    assert_eq!(held_back, Retried::HeldBack(flow.job("a")));
}

#[tokio::test]
async fn dead_letters_of_flows_come_back_with_their_flows() {
    let world = World::wide().await;
    let one = world.plant(&["a", "b: a", "c: b"]).await;
    let two = world.plant(&["a", "b: a"]).await;
    for flow in [&one, &two] {
        world.run(flow, "a", fatal(), at(1)).await;
    }
    let failed = |code: &str| DeadLetters { code: Some(code.to_owned()), ..DeadLetters::default() };
    let none = world.retry_many(failed("dependency-failed"), 9, at(2)).await.unwrap();
    assert_eq!(none, Cleared { jobs: 0, left: 3 }, "what they need has no result");
    let causes = world.retry_many(failed("broken"), 1, at(2)).await.unwrap();
    assert_eq!(causes, Cleared { jobs: 1, left: 1 });
    assert_eq!(world.told(&one).await, "a=queued b=blocked c=blocked");
    assert_eq!(world.told(&two).await, "a=failed b=failed");
    let rest = world.retry_many(DeadLetters::default(), 9, at(3)).await.unwrap();
    assert_eq!(rest, Cleared { jobs: 2, left: 0 });
    assert_eq!(world.told(&two).await, "a=queued b=blocked");
}

#[tokio::test]
async fn a_job_that_failed_by_itself_is_not_brought_back_by_another_one() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a?"]).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    world.run(&flow, "b", fatal(), at(2)).await;
    world.retry(flow.job("a"), at(3)).await.unwrap();
    assert_eq!(world.told(&flow).await, "a=queued b=failed");
}
