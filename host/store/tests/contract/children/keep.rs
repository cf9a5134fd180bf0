//! How long children are kept.

use roughneck_jobs::{
    job::{DeadLetters, NewJob},
    state::State,
};

use super::spoken::waiting_for;
use crate::{
    flows::planted::fatal,
    given::{World, at, done, new_job},
};

#[tokio::test]
async fn a_child_is_kept_while_its_parent_is_not_over() {
    let (world, parent) = World::parent().await;
    let [good, bad, slow] = world.bear(parent, ["good", "bad", "slow"]).await;
    world.run_to(good, done(), at(1)).await;
    world.run_to(bad, fatal(), at(1)).await;
    world.end(parent, waiting_for(&[good, bad, slow]), at(2)).await;
    assert_eq!(world.retire(State::Done, at(9), 9).await.unwrap(), 0);
    assert_eq!(world.purge(DeadLetters::default(), 9).await.unwrap().jobs, 0);
    world.run_to(slow, done(), at(3)).await;
    world.run_to(parent.job, done(), at(4)).await;
    assert_eq!(world.purge(DeadLetters::default(), 9).await.unwrap().jobs, 1);
    assert_eq!(world.retire(State::Done, at(9), 9).await.unwrap(), 3);
}

#[tokio::test]
async fn a_child_outlives_its_parent_and_is_none_of_a_later_job_of_the_same_id() {
    let world = World::wide().await;
    let new = new_job();
    let parent = world.running(new.clone()).await;
    let [page, open] = world.bear(parent, ["page", "open"]).await;
    world.end(parent, waiting_for(&[page]), at(1)).await;
    world.run_to(page, done(), at(1)).await;
    world.run_to(parent.job, done(), at(2)).await;
    // The longest ended goes first; the parent would not be.
    assert_eq!(world.retire(State::Done, at(9), 2).await.unwrap(), 2);
    let of = world.get_family(open).await;
    assert_eq!((of.parent, of.depth, of.name.as_deref()), (None, 1, Some("open")));
    let again = world.running(NewJob { rank: at(0), ..new }).await;
    assert_eq!(again.job, parent.job);
    assert_eq!(world.get_family(again.job).await.children, []);
    let [other] = world.bear(again, ["open"]).await;
    assert_ne!(other, open);
    world.run_to(open, done(), at(10)).await;
    assert_eq!(world.state(again.job).await, State::Working);
}
