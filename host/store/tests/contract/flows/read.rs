//! Flows as readers see them.

use std::collections::BTreeSet;

use roughneck_jobs::{
    flow::{Dependency, FlowState, NewFlow, OnFailure, RESULTS_BYTES_MAX, Tally},
    ports::store::Verdict,
    state::State,
};

use super::planted::{fatal, flow};
use crate::given::{World, at};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn output(text: &str) -> Verdict {
    Verdict::Done { output: text.to_owned() }
}

#[tokio::test]
async fn pages_of_flows_follow_each_other_and_count_their_jobs() {
    let world = World::wide().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let new = NewFlow { name: Some(format!("letter {n}")), ..flow(&["a", "b: a", "c: a~"]) };
        ids.push(world.plant_as(new).await);
    }
    ids.reverse();
    world.run(&ids[4], "a", fatal(), at(3)).await;
    let page = world.flows(None, 3).await.unwrap();
    assert_eq!(
        page.iter().map(|flow| flow.id).collect::<Vec<_>>(),
        [ids[0].id, ids[1].id, ids[2].id]
    );
    assert_eq!(page[0].name.as_deref(), Some("letter 4"));
    let rest = world.flows(Some(page[2].id), 9).await.unwrap();
    assert_eq!(rest.len(), 2);
    let last = &rest[1];
    let tally = |state| Tally { state, is_ignored: false, jobs: 1 };
    let mut tallies = last.tallies.clone();
    tallies.sort_by_key(|tally| (tally.state.as_str(), tally.jobs));
    let failed = Tally { jobs: 2, ..tally(State::Failed) };
    assert_eq!(tallies, [failed, tally(State::Queued)]);
    assert_eq!((last.state(), last.jobs, last.finished_at()), (FlowState::Running, 3, None));
    assert_eq!((last.enqueued_at, last.last_end), (at(0), Some(at(3))));
}

#[tokio::test]
async fn a_failure_is_ignored_only_if_all_that_need_the_job_ignore_it() {
    for (lines, expected) in [
        (vec!["a", "b: a~"], FlowState::Done),
        (vec!["a", "b: a~", "c: a~"], FlowState::Done),
        (vec!["a", "b: a~", "c: a?"], FlowState::Failed),
        (vec!["a", "b: a?"], FlowState::Failed),
        (vec!["a", "b"], FlowState::Failed),
    ] {
        let world = World::wide().await;
        let flow = world.plant(&lines).await;
        world.run(&flow, "a", fatal(), at(1)).await;
        world.finish_all(at(2)).await;
        assert_eq!(world.stands(&flow).await, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn the_parts_of_a_flow_come_in_the_order_of_the_submission_with_what_they_need() {
    let world = World::wide().await;
    let flow = world.plant(&["z: a b~", "a", "b: a?"]).await;
    let parts = world.parts(flow.id).await.unwrap();
    let names: Vec<String> =
        parts.iter().map(|part| part.job.member.clone().unwrap().name).collect();
    assert_eq!(names, ["z", "a", "b"]);
    let needs = |place: usize| {
        let mut needs: Vec<_> =
            parts[place].needs.iter().map(|need| (need.job, need.on_failure)).collect();
        needs.sort_by_key(|need| need.0);
        needs
    };
    let (a, b) = (flow.job("a"), flow.job("b"));
    let mut both = [(a, OnFailure::Fail), (b, OnFailure::Ignore)];
    both.sort_by_key(|need| need.0);
    assert_eq!(needs(0), both);
    assert_eq!((needs(1), needs(2)), (vec![], vec![(a, OnFailure::Continue)]));
    assert_eq!(parts[0].job.input, "", "inputs can be large");
    assert_eq!(parts[0].job.member.clone().unwrap().waits, 2);
}

#[tokio::test]
async fn a_job_sees_those_it_needs_in_the_order_of_the_submission() {
    let world = World::wide().await;
    let flow = world.plant(&["e", "a", "d", "b", "f", "c", "z: a b c d e f"]).await;
    let seen = world.dependencies(flow.job("z"), &BTreeSet::new()).await.unwrap();
    let names: Vec<_> = seen.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["e", "a", "d", "b", "f", "c"]);
}

#[tokio::test]
async fn a_job_sees_what_became_of_those_it_needs_and_the_results_it_asks_for() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "c", "z: a b? c"]).await;
    world.run(&flow, "a", output(r#"{"n": 1.0}"#), at(1)).await;
    world.run(&flow, "b", fatal(), at(2)).await;
    world.run(&flow, "c", output("3"), at(3)).await;
    let z = flow.job("z");
    let seen = world.dependencies(z, &names(&["a", "b", "none"])).await.unwrap();
    let told: Vec<_> = seen
        .iter()
        .map(|one| (one.name.as_str(), one.state, one.output.as_deref(), one.output_bytes))
        .collect();
    let expected = [
        ("a", State::Done, Some(r#"{"n": 1.0}"#), 10),
        ("b", State::Failed, None, 0),
        ("c", State::Done, None, 1),
    ];
    assert_eq!(told, expected);
    assert_eq!(seen[1].failure.as_ref().unwrap().code, "broken");
    assert_eq!(world.dependencies(flow.job("a"), &names(&["a"])).await.unwrap(), []);
}

#[tokio::test]
async fn results_that_are_too_large_together_are_not_read() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "z: a b"]).await;
    let large = format!("\"{}\"", "x".repeat(RESULTS_BYTES_MAX / 2 + 10));
    for name in ["a", "b"] {
        world.run(&flow, name, output(&large), at(1)).await;
    }
    let z = flow.job("z");
    let read = async |wanted: &[&str]| {
        let mut seen = world.dependencies(z, &names(wanted)).await.unwrap();
        seen.sort_by(|one, other| one.name.cmp(&other.name));
        seen.iter().map(|Dependency { output, .. }| output.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(read(&["a"]).await, [true, false]);
    assert_eq!(read(&["a", "b"]).await, [false, false]);
}
