//! Submitting children.

use std::collections::BTreeSet;

use roughneck_jobs::{
    child::{NewChild, Relative, SubmittedChild},
    input_key::UniqueKey,
    job::NewJob,
    mark::{Mark, Marks},
    ports::store::StoreError,
    state::State,
};

use super::spoken::{child, waiting_for};
use crate::{
    database::{self, no_marks},
    given::{World, assert_fenced, at, done, new_job, retry},
};

#[tokio::test]
async fn a_child_is_a_job_that_knows_its_parent() {
    let (world, parent) = World::parent().await;
    let [first, second] = world.bear(parent, ["z first", "a second"]).await;
    let job = world.get_job(first).await;
    assert_eq!((job.state, job.member), (State::Queued, None));
    let of = world.get_family(first).await;
    let above = of.parent.unwrap();
    assert_eq!((of.name.as_deref(), of.depth, of.children_count), (Some("z first"), 1, 0));
    assert_eq!((above.id, above.name, above.state), (parent.job, None, State::Working));
    let of = world.get_family(parent.job).await;
    let relative = |id, name: &str| Relative {
        id,
        name: Some(name.to_owned()),
        kind: "test.echo".to_owned(),
        state: State::Queued,
    };
    assert_eq!(of.children, [relative(first, "z first"), relative(second, "a second")]);
    assert_eq!((of.parent, of.name, of.depth, of.children_count), (None, None, 0, 2));
    let of = world.family(parent.job, 1).await.unwrap().unwrap();
    assert_eq!((of.children.len(), of.children_count), (1, 2));
    assert_eq!(world.family(new_job().id, 1).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_that_is_submitted_again_is_the_same_child_whatever_happened_to_the_run() {
    let (world, parent) = World::parent().await;
    let [page] = world.bear(parent, ["page"]).await;
    let again = world.submit_child(parent, child("page")).await.unwrap();
    assert_eq!(again, SubmittedChild::Existing(page));
    world.end(parent, retry(0), at(1)).await;
    world.promote(at(1), 9).await.unwrap();
    let second = world.run_of(parent.job, at(2)).await;
    assert_fenced(&world.submit_child(parent, child("other")).await);
    let again = world.submit_child(second, child("page")).await.unwrap();
    assert_eq!(again, SubmittedChild::Existing(page));
    let other = world.submitted(new_job()).await;
    let other = world.run_of(other, at(3)).await;
    let of_another_parent = world.submit_child(other, child("page")).await.unwrap();
    assert!(matches!(of_another_parent, SubmittedChild::Created(id) if id != page));
}

#[tokio::test]
async fn a_run_that_was_cancelled_or_has_ended_submits_nothing() {
    let (world, parent) = World::parent().await;
    world.cancel(parent.job, at(1)).await.unwrap();
    assert_fenced(&world.submit_child(parent, child("page")).await);
    let ended = world.running(new_job()).await;
    world.end(ended, done(), at(1)).await;
    assert_fenced(&world.submit_child(ended, child("page")).await);
}

#[tokio::test]
async fn a_child_that_would_be_too_deep_is_no_job() {
    let (world, parent) = World::parent().await;
    let runs = world.line(parent, &["1", "2"]).await;
    let deeper = |depth_max| NewChild { depth_max, ..child("3") };
    let refused = world.submit_child(runs[2], deeper(2)).await.unwrap();
    assert_eq!(refused, SubmittedChild::TooDeep(3));
    assert_eq!(world.get_family(runs[2].job).await.children, []);
    let id = world.born(runs[2], deeper(3)).await;
    assert_eq!(world.get_family(id).await.depth, 3);
    // What is there is not too deep.
    assert_eq!(world.born(runs[2], deeper(2)).await, id);
}

#[tokio::test]
async fn a_unique_key_that_another_job_has_is_told() {
    let (world, parent) = World::parent().await;
    let unique = Some(UniqueKey { key: "draft 7".to_owned(), until: None });
    let unique = || NewJob { unique: unique.clone(), ..new_job() };
    let holder = world.submitted(unique()).await;
    let wanted = |name| NewChild { job: unique(), ..child(name) };
    let refused = world.submit_child(parent, wanted("draft")).await.unwrap();
    assert_eq!(refused, SubmittedChild::Taken(holder));
    assert_eq!(world.get_family(parent.job).await.children, []);
    world.cancel(holder, at(1)).await.unwrap();
    let draft = world.born(parent, wanted("draft")).await;
    assert_eq!(world.born(parent, wanted("draft")).await, draft);
    let twin = world.submit_child(parent, wanted("twin")).await.unwrap();
    assert_eq!(twin, SubmittedChild::Taken(draft), "its sister holds the key");
}

#[tokio::test]
async fn a_full_store_takes_no_new_child_and_answers_for_those_it_has() {
    let database = database::new();
    let world = World::with_marks(&*database, Marks { jobs_max: 2, ..no_marks() }).await;
    let parent = world.running(new_job()).await;
    let [page] = world.bear(parent, ["page"]).await;
    match world.submit_child(parent, child("other")).await {
        Err(StoreError::Full(passed)) => assert_eq!(passed.mark, Mark::Jobs),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.bear(parent, ["page"]).await, [page]);
}

#[tokio::test]
async fn a_thousand_children_run_and_their_parent_takes_all_their_results() {
    let (world, parent) = World::parent().await;
    let mut ids = Vec::new();
    for n in 0..1_000 {
        ids.push(world.born(parent, child(&format!("page {n}"))).await);
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1_000);
    assert_eq!(world.end(parent, waiting_for(&ids), at(1)).await, State::Blocked);
    assert_eq!(world.get_family(parent.job).await.awaits, 1_000);
    for run in world.claim_all(at(2)).await.into_values() {
        assert_eq!(world.state(parent.job).await, State::Blocked);
        world.end(run, done(), at(3)).await;
    }
    let second = world.claimed(at(4)).await;
    assert_eq!((second.job.id, second.job.attempt), (parent.job, 1));
    let children = world.children(parent.job, &ids).await.unwrap();
    assert_eq!(children.len(), 1_000);
    assert!(children.iter().all(|child| child.output.is_some()));
}
