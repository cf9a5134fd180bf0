//! Claims that go on with the model that is loaded.

use roughneck_jobs::{
    class::Class,
    clock::Millis,
    id::JobId,
    job::NewJob,
    pause::{Pause, Scope},
    ports::store::Claim,
    preference::Preference,
    priority::Priority,
    run::LEASE_MS,
};

use crate::given::{World, at, done, io, new_job, slots};

const LOADED: &str = "qwen3:30b";
const OTHER: &str = "gemma3:27b";

fn of_model(model: &str, rank: u64) -> NewJob {
    NewJob { model: Some(model.to_owned()), rank: at(rank), ..new_job() }
}

/// The loaded model, which is also called `default`, is preferred until 100, and until 25 if it is urgent.
fn preference() -> Preference {
    let models = [LOADED, "default"].map(str::to_owned).into();
    Preference { models, until: at(100), urgent_until: at(25) }
}

async fn claimed(world: &World, limit: u32, now: Millis) -> Vec<JobId> {
    let (lease_until, prefer) = (now.plus_ms(LEASE_MS), Some(preference()));
    let claim = Claim { class: io(), limit, at: now, lease_until, prefer };
    let claims = world.claim(claim).await.unwrap();
    claims.claimed.into_iter().map(|one| one.job.id).collect()
}

/// A world with one slot and these jobs.
async fn world<const N: usize>(jobs: [NewJob; N]) -> (World, [JobId; N]) {
    let world = World::new().await;
    world.set_slots(&slots(1)).await.unwrap();
    let ids = jobs.each_ref().map(|job| job.id);
    for job in jobs {
        world.submitted(job).await;
    }
    (world, ids)
}

#[tokio::test]
async fn a_job_of_the_loaded_model_goes_before_a_better_one_of_another_model_for_a_while() {
    for (now, goes) in [(0, 2), (99, 2), (100, 0)] {
        let jobs = [of_model(OTHER, 1), of_model(LOADED, 3), of_model("default", 2)];
        let (world, ids) = world(jobs).await;
        assert_eq!(claimed(&world, 1, at(now)).await, [ids[goes]], "at {now}");
    }
}

#[tokio::test]
async fn an_urgent_one_waits_for_a_shorter_while() {
    let urgent = NewJob { priority: Priority::URGENT, ..of_model(OTHER, 1) };
    for (now, goes) in [(24, 1), (25, 0)] {
        let (world, ids) = world([urgent.clone(), of_model(LOADED, 2)]).await;
        assert_eq!(claimed(&world, 1, at(now)).await, [ids[goes]], "at {now}");
    }
}

#[tokio::test]
async fn a_job_whose_model_is_not_known_is_never_passed_over() {
    let unknown = NewJob { rank: at(1), ..new_job() };
    let (world, ids) = world([unknown, of_model(LOADED, 2)]).await;
    assert_eq!(claimed(&world, 1, at(0)).await, [ids[0]]);
}

#[tokio::test]
async fn without_a_job_of_the_loaded_model_the_best_of_all_goes() {
    let elsewhere = NewJob { run_at: at(9), ..of_model(LOADED, 0) };
    let (world, ids) = world([of_model(OTHER, 2), of_model("llama3", 1), elsewhere]).await;
    assert_eq!(claimed(&world, 1, at(0)).await, [ids[1]]);
}

#[tokio::test]
async fn a_paused_kind_is_passed_over_whatever_is_loaded() {
    let other_kind = NewJob { kind: "test.other".to_owned(), ..of_model(LOADED, 9) };
    let (world, ids) = world([of_model(OTHER, 3), of_model(LOADED, 1), other_kind]).await;
    let scope = Scope::Kind(new_job().kind);
    let reason = "a look at it".to_owned();
    world.pause(Pause { scope: scope.clone(), since: at(0), until: None, reason }).await.unwrap();
    assert_eq!(claimed(&world, 9, at(0)).await, [ids[2]]);
    assert_eq!(claimed(&world, 9, at(0)).await, []);
    world.resume(scope).await.unwrap();
    assert_eq!(claimed(&world, 9, at(0)).await, []);
}

#[tokio::test]
async fn a_closed_kind_leaves_its_turn_to_another_one_of_the_loaded_model() {
    let of_kind = |kind: &str, job: NewJob| NewJob { kind: kind.to_owned(), ..job };
    let jobs = [
        of_kind("test.swaps", of_model(OTHER, 0)),
        of_kind("test.closed", of_model(LOADED, 1)),
        of_kind("test.open", of_model(LOADED, 2)),
    ];
    let (world, ids) = world(jobs).await;
    let (scope, reason) = (Scope::Kind("test.closed".to_owned()), "a look at it".to_owned());
    world.pause(Pause { scope, since: at(0), until: None, reason }).await.unwrap();
    assert_eq!(claimed(&world, 1, at(0)).await, [ids[2]]);
}

#[tokio::test]
async fn with_more_slots_all_of_the_loaded_model_go_before_the_first_that_is_passed_over() {
    let jobs = [of_model(LOADED, 1), of_model(OTHER, 2), of_model(LOADED, 3), of_model(LOADED, 4)];
    let (world, ids) = world(jobs).await;
    world.set_slots(&slots(3)).await.unwrap();
    assert_eq!(claimed(&world, 3, at(0)).await, [ids[0], ids[2], ids[3]]);
    let run = world.attempts(ids[0]).await.unwrap()[0].run;
    let run = roughneck_jobs::run::Run { job: ids[0], token: run };
    world.end(run, done(), at(1)).await;
    assert_eq!(claimed(&world, 3, at(1)).await, [ids[1]]);
}

#[tokio::test]
async fn it_is_known_whether_a_queued_job_of_the_class_asks_for_a_model_by_one_of_its_names() {
    let (world, _) = world([of_model(LOADED, 1), of_model("default", 2)]).await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let asks_for = async |class, models| world.asks_for(&class, &names(models)).await.unwrap();
    assert!(asks_for(io(), &[OTHER, LOADED]).await);
    assert!(asks_for(io(), &["default"]).await);
    assert!(!asks_for(io(), &[OTHER]).await);
    assert!(!asks_for(io(), &[]).await);
    assert!(!asks_for(Class("ollama".to_owned()), &[LOADED]).await);
    assert_eq!(claimed(&world, 1, at(100)).await.len(), 1);
    assert!(!asks_for(io(), &[LOADED]).await, "its job runs");
}
