//! Running parents and children again.

use roughneck_jobs::{child::SubmittedChild, ports::store::Retried, state::State};

use super::spoken::{child, waiting_for};
use crate::{
    flows::planted::fatal,
    given::{World, at, done, retry},
};

#[tokio::test]
async fn a_child_that_failed_stays_failed_however_often_its_parent_runs() {
    let (world, parent) = World::parent().await;
    let [bad] = world.bear(parent, ["bad"]).await;
    world.end(parent, waiting_for(&[bad]), at(1)).await;
    world.run_to(bad, fatal(), at(2)).await;
    let second = world.run_of(parent.job, at(3)).await;
    let again = world.submit_child(second, child("bad")).await.unwrap();
    assert_eq!(again, SubmittedChild::Existing(bad));
    world.end(second, retry(0), at(4)).await;
    world.promote(at(4), 9).await.unwrap();
    let third = world.run_of(parent.job, at(5)).await;
    let again = world.submit_child(third, child("bad")).await.unwrap();
    assert_eq!(again, SubmittedChild::Existing(bad));
    assert_eq!(world.state(bad).await, State::Failed);
}

#[tokio::test]
async fn a_retried_parent_gives_children_without_a_result_another_life_and_keeps_the_others() {
    let (world, parent) = World::parent().await;
    let [good, bad, forgotten] = world.bear(parent, ["good", "bad", "forgotten"]).await;
    world.run_to(good, done(), at(1)).await;
    world.run_to(bad, fatal(), at(1)).await;
    world.cancel(forgotten, at(1)).await.unwrap();
    world.end(parent, fatal(), at(2)).await;
    assert_eq!(world.retry(parent.job, at(3)).await.unwrap(), Retried::Queued);
    assert_eq!(world.state(bad).await, State::Failed, "until it is submitted again");
    let second = world.run_of(parent.job, at(4)).await;
    let submit = |name| world.submit_child(second, child(name));
    assert_eq!(submit("good").await.unwrap(), SubmittedChild::Existing(good));
    assert_eq!(submit("bad").await.unwrap(), SubmittedChild::Retried(bad));
    assert_eq!(submit("bad").await.unwrap(), SubmittedChild::Existing(bad));
    let job = world.get_job(bad).await;
    assert_eq!((job.state, job.attempt), (State::Queued, 0));
    assert_eq!(world.state(forgotten).await, State::Cancelled, "nobody asked for it");
    world.end(second, waiting_for(&[good, bad]), at(5)).await;
    world.run_to(bad, fatal(), at(6)).await;
    let third = world.run_of(parent.job, at(7)).await;
    let again = world.submit_child(third, child("bad")).await.unwrap();
    assert_eq!(again, SubmittedChild::Existing(bad), "it had its life");
}

#[tokio::test]
async fn a_cancelled_parent_that_is_retried_begins_what_was_cancelled_with_it_again() {
    let (world, parent) = World::parent().await;
    let [page] = world.bear(parent, ["page"]).await;
    world.end(parent, waiting_for(&[page]), at(1)).await;
    world.cancel(parent.job, at(2)).await.unwrap();
    world.retry(parent.job, at(3)).await.unwrap();
    let second = world.run_of(parent.job, at(4)).await;
    let again = world.submit_child(second, child("page")).await.unwrap();
    assert_eq!(again, SubmittedChild::Retried(page));
    world.end(second, waiting_for(&[page]), at(5)).await;
    world.run_to(page, done(), at(6)).await;
    assert_eq!(world.state(parent.job).await, State::Queued);
}
