//! Events: the story of a job.

use roughneck_jobs::{
    clock::Millis,
    ports::{bell::Change, store::Verdict},
    state::State::{self, Done, Loading, Queued, Scheduled, Working},
};

use crate::given::{World, at, done, failure, new_job, retry};

#[tokio::test]
async fn every_move_is_one_event_with_its_attempt_and_reason() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.set_loading(run, true, at(1)).await.unwrap();
    world.set_loading(run, false, at(2)).await.unwrap();
    world.end(run, retry(10), at(3)).await;
    world.promote(at(13), 10).await.unwrap();
    let run = world.claimed(at(14)).await.run;
    world.end(run, done(), at(15)).await;

    let events = world.events(run.job, 0).await.unwrap();
    let told: Vec<(i64, Millis, State, u32)> =
        events.iter().map(|event| (event.seq, event.at, event.state, event.attempt)).collect();
    let expected = [
        (1, at(0), Queued, 0),
        (2, at(0), Working, 1),
        (3, at(1), Loading, 1),
        (4, at(2), Working, 1),
        (5, at(3), Scheduled, 1),
        (6, at(13), Queued, 1),
        (7, at(14), Working, 2),
        (8, at(15), Done, 2),
    ];
    assert_eq!(told, expected);
    let reasons: Vec<_> = events.iter().filter_map(|event| event.reason.as_deref()).collect();
    assert_eq!(reasons, ["the site did not answer"]);
}

#[tokio::test]
async fn events_go_on_after_any_of_them() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.end(run, done(), at(1)).await;
    let rest = world.events(run.job, 2).await.unwrap();
    assert_eq!(rest.iter().map(|event| event.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(world.events(run.job, 3).await.unwrap(), []);
}

#[tokio::test]
async fn an_answer_has_at_most_two_hundred_events() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    for n in 0..250 {
        world.set_loading(run, n % 2 == 0, at(n)).await.unwrap();
    }
    assert_eq!(world.events(run.job, 0).await.unwrap().len(), 200);
    assert_eq!(world.events(run.job, 200).await.unwrap().len(), 52);
}

#[tokio::test]
async fn what_is_already_so_is_no_event() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.rung().await;
    world.set_loading(run, false, at(1)).await.unwrap();
    assert_eq!(world.rung().await, []);
    world.set_loading(run, true, at(2)).await.unwrap();
    world.set_loading(run, true, at(3)).await.unwrap();
    assert_eq!(world.rung().await, [Change::Job(run.job)]);
    assert_eq!(world.states(run.job).await, [Queued, Working, Loading]);
}

#[tokio::test]
async fn a_run_whose_call_gave_way_waits_for_its_model_again_and_burns_no_attempt() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.gave_way(run, at(1)).await.unwrap();
    // Another model is loaded first: it waits already.
    world.set_loading(run, true, at(2)).await.unwrap();
    world.set_loading(run, false, at(3)).await.unwrap();
    let told: Vec<_> = world.events(run.job, 2).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.at, event.state, event.attempt, event.reason.as_deref()))
        .collect();
    let why = "its call gave way to an urgent one and will be made anew";
    assert_eq!(told, [(at(1), Loading, 1, Some(why)), (at(3), Working, 1, None)]);
}

#[tokio::test]
async fn a_loss_is_told_with_the_attempt_it_ended() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.reap(at(60_000), 10).await.unwrap();
    let events = world.events(run.job, 2).await.unwrap();
    assert_eq!(events.iter().map(|event| event.attempt).collect::<Vec<_>>(), [1]);
    assert_eq!(world.get_job(run.job).await.attempt, 0);
}

#[tokio::test]
async fn an_answer_has_the_latest_hundred_attempts() {
    let world = World::new().await;
    let mut run = world.running(new_job()).await;
    for n in 1..=104 {
        world.release(run, at(n)).await.unwrap();
        run = world.claimed(at(n)).await.run;
    }
    let runs: Vec<_> = world.attempts(run.job).await.unwrap().iter().map(|a| a.run).collect();
    assert_eq!(runs, (6..=105).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_a_job_that_is_postponed_for_days_the_latest_runs_and_events_are_kept() {
    let world = World::new().await;
    let id = world.submitted(new_job()).await;
    let mut now = 0;
    for _ in 0..150 {
        let run = world.claimed(at(now)).await.run;
        world.end(run, Verdict::Postpone { delay_ms: 1, failure: failure() }, at(now)).await;
        now += 1;
        world.promote(at(now), 10).await.unwrap();
    }
    // Queued at first, then begun, put off and queued again.
    let events = world.events(id, 0).await.unwrap();
    assert_eq!(events[0].seq, 1 + 3 * 150 - 400);
    let rest = world.events(id, 400).await.unwrap();
    assert_eq!(rest.last().map(|event| (event.seq, event.state)), Some((451, Queued)));
    let runs: Vec<i64> = world.attempts(id).await.unwrap().iter().map(|one| one.run).collect();
    assert_eq!(runs, (51..=150).collect::<Vec<_>>());
}
