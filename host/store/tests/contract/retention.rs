//! Deleting what ended long ago.

use roughneck_jobs::{
    delivery::DeliveryOutcome, id::JobId, job::NewJob, ports::store::Verdict, schedule::Overlap,
    state::State,
};

use crate::given::{Everything, World, at, done, failure, fired, job_with_callback, new_job};

const SCHEDULE: &str = "plugin/nightly";

async fn ended(world: &World, job: NewJob, verdict: Verdict, now: u64) -> JobId {
    let run = world.running(job).await;
    world.end(run, verdict, at(now)).await;
    run.job
}

async fn is_kept(world: &World, id: JobId) -> bool {
    world.job(id).await.unwrap().is_some()
}

#[tokio::test]
async fn jobs_of_one_state_go_once_they_ended_long_enough_ago() {
    let world = World::new().await;
    let old = ended(&world, new_job(), done(), 10).await;
    let young = ended(&world, new_job(), done(), 11).await;
    let failed = ended(&world, new_job(), Verdict::Fail { failure: failure() }, 10).await;
    let cancelled = world.submitted(new_job()).await;
    world.cancel(cancelled, at(10)).await.unwrap();
    assert_eq!(world.retire(State::Done, at(9), 9).await.unwrap(), 0);
    assert_eq!(world.retire(State::Done, at(10), 9).await.unwrap(), 1);
    let kept = [is_kept(&world, old).await, is_kept(&world, young).await];
    assert_eq!(kept, [false, true]);
    for (state, id) in [(State::Failed, failed), (State::Cancelled, cancelled)] {
        assert!(is_kept(&world, id).await);
        assert_eq!(world.retire(state, at(10), 9).await.unwrap(), 1);
        assert!(!is_kept(&world, id).await);
    }
}

#[tokio::test]
async fn a_retired_job_leaves_nothing_and_frees_its_key() {
    let world = World::new().await;
    let keyed = || NewJob { idempotency_key: Some("order-7".to_owned()), ..job_with_callback() };
    let id = ended(&world, keyed(), done(), 1).await;
    let delivery = world.deliveries(id).await.unwrap().remove(0);
    world.record_delivery(delivery.id, DeliveryOutcome::Delivered, at(2)).await.unwrap();
    assert_eq!(world.retire(State::Done, at(9), 9).await.unwrap(), 1);
    let nothing = Everything { job: None, attempts: vec![], events: vec![], deliveries: vec![] };
    assert_eq!(world.everything(id).await, nothing);
    let again = keyed();
    assert_eq!(world.submitted(again.clone()).await, again.id);
}

#[tokio::test]
async fn a_job_with_an_open_delivery_is_kept_and_keeps_no_other_from_going() {
    let world = World::new().await;
    let open = ended(&world, job_with_callback(), done(), 1).await;
    let free = ended(&world, new_job(), done(), 2).await;
    assert_eq!(world.retire(State::Done, at(9), 1).await.unwrap(), 1);
    assert!(is_kept(&world, open).await && !is_kept(&world, free).await);
    let delivery = world.deliveries(open).await.unwrap().remove(0);
    let again = DeliveryOutcome::Retry { delay_ms: 5, error: "503".to_owned() };
    world.record_delivery(delivery.id, again, at(3)).await.unwrap();
    assert_eq!(world.retire(State::Done, at(9), 1).await.unwrap(), 0, "it is tried again");
    let over = DeliveryOutcome::GiveUp { error: "410".to_owned() };
    world.record_delivery(delivery.id, over, at(8)).await.unwrap();
    assert_eq!(world.retire(State::Done, at(9), 1).await.unwrap(), 1);
}

#[tokio::test]
async fn the_longest_ended_go_first_and_no_more_than_the_limit() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in [3, 1, 2] {
        ids.push(ended(&world, new_job(), done(), n).await);
    }
    assert_eq!(world.retire(State::Done, at(9), 2).await.unwrap(), 2);
    let kept = [is_kept(&world, ids[0]).await, is_kept(&world, ids[1]).await];
    assert_eq!(kept, [true, false]);
    assert_eq!(world.retire(State::Done, at(9), 2).await.unwrap(), 1);
}

#[tokio::test]
async fn a_job_that_has_not_ended_is_never_retired() {
    let world = World::new().await;
    let running = world.running(new_job()).await.job;
    let scheduled = world.submitted(NewJob { run_at: at(5), ..new_job() }).await;
    let retried = ended(&world, new_job(), Verdict::Fail { failure: failure() }, 1).await;
    world.retry(retried, at(2)).await.unwrap();
    for state in State::ALL {
        assert_eq!(world.retire(state, at(u64::MAX), 9).await.unwrap(), 0, "{state:?}");
    }
    for id in [running, scheduled, retried] {
        assert!(is_kept(&world, id).await);
    }
}

#[tokio::test]
async fn fires_are_forgotten_the_earliest_first_and_their_jobs_are_not() {
    let world = World::new().await;
    let settle = async |fires: &[u64]| {
        let jobs: Vec<NewJob> = fires.iter().map(|fire| fired(SCHEDULE, *fire)).collect();
        world.settled(SCHEDULE, at(30), Overlap::Queue, &jobs).await
    };
    let ids = settle(&[10, 20, 30]).await;
    assert_eq!(world.forget_fires(at(9), 9).await.unwrap(), 0);
    assert_eq!(world.forget_fires(at(20), 1).await.unwrap(), 1);
    assert_eq!(world.forget_fires(at(20), 9).await.unwrap(), 1);
    assert_eq!(world.forget_fires(at(20), 9).await.unwrap(), 0);
    for id in ids {
        assert!(is_kept(&world, id).await);
    }
    assert_eq!(settle(&[30]).await, [], "a fire that is remembered runs once");
    assert_eq!(settle(&[10]).await.len(), 1);
}

#[tokio::test]
async fn the_job_of_a_fire_can_go_and_the_fire_is_remembered() {
    let world = World::new().await;
    let settle =
        async || world.settled(SCHEDULE, at(10), Overlap::Queue, &[fired(SCHEDULE, 10)]).await;
    assert_eq!(settle().await.len(), 1);
    let run = world.claimed(at(11)).await.run;
    world.end(run, done(), at(12)).await;
    assert_eq!(world.retire(State::Done, at(12), 9).await.unwrap(), 1);
    assert_eq!(settle().await, []);
}
