//! Waiting for children.

use roughneck_jobs::{
    clock::Millis,
    failure::Failure,
    flow::FlowState,
    id::JobId,
    job::NewJob,
    ports::store::Verdict,
    run::{LEASE_MS, LOSSES_MAX, Run},
    state::State,
};

use super::spoken::{child, waiting_for};
use crate::{
    flows::planted::fatal,
    given::{World, assert_fenced, at, done, new_job, retry, slots},
};

#[tokio::test]
async fn a_job_that_waits_for_its_children_gives_slot_and_attempt_back() {
    let (world, parent) = World::parent().await;
    world.set_slots(&slots(1)).await.unwrap();
    let children = world.bear(parent, ["a", "b"]).await;
    assert_eq!(world.claim_at(9, at(1)).await.len(), 0, "the parent has the slot");
    assert_eq!(world.end(parent, waiting_for(&children), at(1)).await, State::Blocked);
    let job = world.get_job(parent.job).await;
    assert_eq!((job.attempt, job.reason.as_deref()), (0, Some("waits for 2 children")));
    assert_eq!(world.outcomes(parent.job).await, ["released"]);
    for (child, now) in children.into_iter().zip([2, 4]) {
        assert_eq!(world.state(parent.job).await, State::Blocked);
        world.run_to(child, done(), at(now)).await;
    }
    let second = world.claimed(at(5)).await;
    assert_eq!((second.job.id, second.job.attempt), (parent.job, 1));
    assert!(second.run.token > parent.token);
    assert_eq!(world.end(second.run, done(), at(6)).await, State::Done);
    let states = world.states(parent.job).await;
    use State::{Blocked, Done, Queued, Working};
    assert_eq!(states, [Queued, Working, Blocked, Queued, Working, Done]);
}

/// Loses its job with its host, so often that it is poison.
async fn poison(world: &World, id: JobId, from: Millis) {
    let mut now = from;
    for _ in 0..LOSSES_MAX {
        world.run_of(id, now).await;
        now = now.plus_ms(LEASE_MS + 1);
        world.reap(now, 9).await.unwrap();
    }
}

#[tokio::test]
async fn every_end_of_the_last_child_wakes_its_parent() {
    for end in ["done", "failed", "cancelled", "cancelled on request", "poison"] {
        let (world, parent) = World::parent().await;
        let [child] = world.bear(parent, ["child"]).await;
        world.end(parent, waiting_for(&[child]), at(1)).await;
        let cancel = Verdict::Cancel { failure: Failure::fatal("in-vain", "nobody wants it") };
        match end {
            "done" => world.run_to(child, done(), at(2)).await,
            "failed" => world.run_to(child, fatal(), at(2)).await,
            "cancelled" => world.run_to(child, cancel, at(2)).await,
            "poison" => poison(&world, child, at(2)).await,
            _ => drop(world.cancel(child, at(2)).await.unwrap()),
        }
        assert!(world.state(child).await.is_terminal(), "{end}");
        assert_eq!(world.state(parent.job).await, State::Queued, "{end}");
    }
}

#[tokio::test]
async fn an_attempt_of_a_child_that_is_not_its_last_keeps_the_parent_waiting() {
    let (world, parent) = World::parent().await;
    let [child] = world.bear(parent, ["child"]).await;
    world.end(parent, waiting_for(&[child]), at(1)).await;
    world.run_to(child, retry(5), at(2)).await;
    assert_eq!(world.state(parent.job).await, State::Blocked);
    world.promote(at(9), 9).await.unwrap();
    world.run_to(child, done(), at(9)).await;
    assert_eq!(world.state(parent.job).await, State::Queued);
}

#[tokio::test]
async fn a_child_that_ends_before_its_parent_waits_is_not_waited_for() {
    let (world, parent) = World::parent().await;
    let [early, late] = world.bear(parent, ["early", "late"]).await;
    world.run_to(early, done(), at(1)).await;
    assert_eq!(world.end(parent, waiting_for(&[early, late]), at(2)).await, State::Blocked);
    assert_eq!(world.get_family(parent.job).await.awaits, 1);
    world.run_to(late, done(), at(3)).await;
    let second = world.run_of(parent.job, at(4)).await;
    let both = [early, late, early];
    assert_eq!(world.end(second, waiting_for(&both), at(5)).await, State::Queued, "no need to");
    assert_eq!(world.get_job(parent.job).await.attempt, 0);
}

#[tokio::test]
async fn a_job_waits_for_those_it_names_and_for_nobody_elses() {
    let (world, parent) = World::parent().await;
    let [named, other] = world.bear(parent, ["named", "other"]).await;
    let strange = world.submitted(NewJob { run_at: at(1_000), ..new_job() }).await;
    world.end(parent, waiting_for(&[named, strange]), at(1)).await;
    assert_eq!(world.get_family(parent.job).await.awaits, 1);
    world.run_to(named, done(), at(2)).await;
    let second = world.run_of(parent.job, at(3)).await;
    world.end(second, waiting_for(&[other]), at(4)).await;
    world.run_to(other, done(), at(5)).await;
    assert_eq!(world.state(parent.job).await, State::Queued);
}

#[tokio::test]
async fn a_child_that_was_waited_for_counts_once() {
    let (world, parent) = World::parent().await;
    let [twice, slow] = world.bear(parent, ["twice", "slow"]).await;
    world.end(parent, waiting_for(&[twice, slow]), at(1)).await;
    for now in [2, 3] {
        world.run_to(twice, fatal(), at(now)).await;
        world.retry(twice, at(now)).await.unwrap();
    }
    assert_eq!(world.get_family(parent.job).await.awaits, 1);
    world.run_to(slow, done(), at(4)).await;
    assert_eq!(world.state(parent.job).await, State::Queued);
}

#[tokio::test]
async fn a_parent_keeps_its_place() {
    let world = World::wide().await;
    let parent = world.running(NewJob { rank: at(1), ..new_job() }).await;
    let [child] = world.bear(parent, ["child"]).await;
    world.end(parent, waiting_for(&[child]), at(1)).await;
    let later = world.submitted(NewJob { rank: at(2), ..new_job() }).await;
    world.run_to(child, done(), at(2)).await;
    let claimed = world.claim_at(2, at(3)).await;
    assert_eq!(claimed.iter().map(|one| one.job.id).collect::<Vec<_>>(), [parent.job, later]);
}

#[tokio::test]
async fn children_wait_for_children() {
    let (world, first) = World::parent().await;
    let runs = world.line(first, &["child", "grandchild"]).await;
    let end = |run: Run, verdict| world.end(run, verdict, at(5));
    end(runs[0], waiting_for(&[runs[1].job])).await;
    end(runs[1], waiting_for(&[runs[2].job])).await;
    end(runs[2], done()).await;
    assert_eq!(world.state(first.job).await, State::Blocked);
    world.run_to(runs[1].job, done(), at(6)).await;
    assert_eq!(world.state(first.job).await, State::Queued);
}

#[tokio::test]
async fn a_run_that_lost_its_job_cannot_make_it_wait() {
    let (world, parent) = World::parent().await;
    let [child] = world.bear(parent, ["child"]).await;
    world.cancel(parent.job, at(1)).await.unwrap();
    let ending = crate::given::ending(waiting_for(&[child]), at(2));
    assert_fenced(&world.finish(parent, ending).await);
    assert_eq!(world.state(parent.job).await, State::Cancelled);
}

#[tokio::test]
async fn the_results_of_children_come_with_their_names_and_states() {
    let (world, parent) = World::parent().await;
    let [good, bad, open] = world.bear(parent, ["good", "bad", "open"]).await;
    world.run_to(good, done(), at(1)).await;
    world.run_to(bad, fatal(), at(2)).await;
    let strange = world.submitted(new_job()).await;
    let ids = [bad, open, strange, good];
    let mut children = world.children(parent.job, &ids).await.unwrap();
    children.sort_by_key(|child| child.job);
    let names: Vec<&str> = children.iter().map(|child| &*child.name).collect();
    assert_eq!(names, ["good", "bad", "open"], "and none that is no child");
    assert_eq!(children[0].output.as_deref(), Some(r#"{"ok":true}"#));
    assert_eq!(children[1].failure.as_ref().unwrap().code, "broken");
    assert_eq!((children[2].state, &children[2].output), (State::Queued, &None));
}

#[tokio::test]
async fn a_job_of_a_flow_waits_for_children_that_are_none_of_it() {
    let world = World::wide().await;
    let flow = world.plant(&["first", "parent: first?", "last: parent"]).await;
    world.run(&flow, "first", fatal(), at(1)).await;
    let parent = world.run_of(flow.job("parent"), at(2)).await;
    let page = world.born(parent, child("page")).await;
    world.end(parent, waiting_for(&[page]), at(3)).await;
    assert_eq!(world.told(&flow).await, "first=failed last=blocked parent=blocked");
    // What it needed runs again: it has begun, and does not wait for that.
    world.retry(flow.job("first"), at(4)).await.unwrap();
    assert_eq!(world.mend_waits(at(4), 9).await.unwrap(), []);
    world.run_to(page, done(), at(5)).await;
    assert_eq!(world.job_of(&flow, "parent").await.state, State::Queued);
    assert_eq!(world.mend_waits(at(6), 9).await.unwrap(), []);
    world.finish_all(at(7)).await;
    assert_eq!(world.stands(&flow).await, FlowState::Done);
    assert_eq!(world.get_flow(&flow).await.jobs, 3);
}
