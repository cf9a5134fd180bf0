//! Cancelling a job cancels what it has begun.

use roughneck_jobs::{
    failure::Failure,
    ports::{
        bell::Change,
        store::{Cancelled, Verdict},
    },
    state::State,
};

use super::spoken::{child, waiting_for};
use crate::given::{World, assert_fenced, at, done, new_job};

#[tokio::test]
async fn the_open_children_of_a_cancelled_job_are_cancelled_and_theirs() {
    let (world, first) = World::parent().await;
    let runs = world.line(first, &["child", "grandchild"]).await;
    let [over, queued] = world.bear(first, ["over", "queued"]).await;
    world.run_to(over, done(), at(2)).await;
    world.end(first, waiting_for(&[runs[1].job, queued]), at(3)).await;
    world.end(runs[1], waiting_for(&[runs[2].job]), at(3)).await;
    world.rung().await;
    assert_eq!(world.cancel(first.job, at(4)).await.unwrap(), Cancelled::Waiting);
    for id in [first.job, runs[1].job, runs[2].job, queued] {
        assert_eq!(world.state(id).await, State::Cancelled);
    }
    assert_eq!(world.state(over).await, State::Done);
    assert_fenced(&world.submit_child(runs[2], child("more")).await);
    assert!(world.rung().await.contains(&Change::Runs), "the run of the grandchild must stop");
    let reason = world.get_job(queued).await.reason.unwrap();
    assert_eq!(reason, "cancelled with the job that submitted it");
    assert_eq!(world.claim_at(9, at(5)).await.len(), 0);
}

#[tokio::test]
async fn a_job_that_cancels_itself_does_so_as_well() {
    let (world, parent) = World::parent().await;
    let [page] = world.bear(parent, ["page"]).await;
    let failure = Failure::fatal("in-vain", "nobody wants it");
    world.end(parent, Verdict::Cancel { failure }, at(1)).await;
    assert_eq!(world.state(page).await, State::Cancelled);
}

#[tokio::test]
async fn the_children_of_a_job_that_ends_otherwise_go_on() {
    for verdict in [done(), crate::flows::planted::fatal()] {
        let (world, parent) = World::parent().await;
        let [page] = world.bear(parent, ["page"]).await;
        world.end(parent, verdict, at(1)).await;
        world.run_to(page, done(), at(2)).await;
        assert_eq!(world.state(page).await, State::Done);
    }
}

#[tokio::test]
async fn what_is_below_a_child_that_is_over_goes_on() {
    let (world, first) = World::parent().await;
    let runs = world.line(first, &["child", "grandchild"]).await;
    world.end(runs[1], done(), at(2)).await;
    world.cancel(first.job, at(3)).await.unwrap();
    assert_eq!(world.state(runs[2].job).await, State::Working);
}

#[tokio::test]
async fn a_flow_is_cancelled_with_the_children_of_its_jobs() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a"]).await;
    let parent = world.run_of(flow.job("a"), at(1)).await;
    let [page] = world.bear(parent, ["page"]).await;
    let cancelled = world.cancel_flow(flow.id, at(2)).await.unwrap();
    assert_eq!((cancelled.jobs, cancelled.runs), (2, vec![parent]));
    assert_eq!(world.state(page).await, State::Cancelled);
}

#[tokio::test]
async fn a_cancelled_child_leaves_its_sisters_alone() {
    let (world, parent) = World::parent().await;
    let [one, other] = world.bear(parent, ["one", "other"]).await;
    world.end(parent, waiting_for(&[one, other]), at(1)).await;
    let strange = world.submitted(new_job()).await;
    world.cancel(one, at(2)).await.unwrap();
    assert_eq!(world.state(other).await, State::Queued);
    assert_eq!(world.state(strange).await, State::Queued);
    assert_eq!(world.state(parent.job).await, State::Blocked);
}
