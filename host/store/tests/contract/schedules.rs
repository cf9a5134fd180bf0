//! Schedules and their fires.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::NewJob,
    ports::{bell::Change, schedules::Settlement, store::StoreError},
    schedule::{Fire, Overlap},
    state::State,
};

use crate::given::{World, at, done, new_job};

const SCHEDULE: &str = "plugin/nightly";

fn fired(fire: u64) -> NewJob {
    let fire = Fire { schedule: SCHEDULE.to_owned(), at: at(fire) };
    NewJob { fire: Some(fire), ..new_job() }
}

fn settlement(up_to: u64, overlap: Overlap, jobs: &[NewJob]) -> Settlement {
    Settlement { schedule: SCHEDULE.to_owned(), up_to: at(up_to), jobs: jobs.to_vec(), overlap }
}

async fn settle(world: &World, up_to: u64, overlap: Overlap, jobs: &[NewJob]) -> Vec<JobId> {
    world.settle(settlement(up_to, overlap, jobs)).await.unwrap()
}

async fn handled(world: &World) -> Millis {
    world.handled_up_to(SCHEDULE, at(999)).await.unwrap()
}

#[tokio::test]
async fn a_new_schedule_starts_now_and_remembers_it() {
    let world = World::new().await;
    assert_eq!(world.handled_up_to(SCHEDULE, at(5)).await.unwrap(), at(5));
    assert_eq!(world.handled_up_to(SCHEDULE, at(9)).await.unwrap(), at(5));
    assert_eq!(world.handled_up_to("plugin/other", at(9)).await.unwrap(), at(9));
}

#[tokio::test]
async fn a_fire_submits_its_job_and_is_handled() {
    let world = World::new().await;
    let job = fired(10);
    assert_eq!(settle(&world, 10, Overlap::Skip, std::slice::from_ref(&job)).await, [job.id]);
    assert_eq!(world.get_job(job.id).await.state, State::Queued);
    assert_eq!(handled(&world).await, at(10));
}

#[tokio::test]
async fn a_fire_runs_once_even_if_it_is_settled_twice_with_other_jobs() {
    let world = World::new().await;
    let first = fired(10);
    settle(&world, 10, Overlap::Queue, std::slice::from_ref(&first)).await;
    let second = fired(10);
    assert_eq!(settle(&world, 10, Overlap::Queue, std::slice::from_ref(&second)).await, []);
    assert_eq!(world.job(second.id).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_settlements_of_one_fire_at_once_one_submits() {
    let world = World::new().await;
    let jobs = [[fired(10)], [fired(10)]];
    let (one, two) = tokio::join!(
        settle(&world, 10, Overlap::Queue, &jobs[0]),
        settle(&world, 10, Overlap::Queue, &jobs[1]),
    );
    assert_eq!(one.len() + two.len(), 1);
}

#[tokio::test]
async fn handled_fires_never_go_backwards() {
    let world = World::new().await;
    settle(&world, 100, Overlap::Skip, &[]).await;
    settle(&world, 50, Overlap::Skip, &[]).await;
    assert_eq!(handled(&world).await, at(100));
}

#[tokio::test]
async fn a_fire_is_skipped_while_the_last_job_has_not_ended() {
    let world = World::new().await;
    let first = fired(10);
    settle(&world, 10, Overlap::Skip, std::slice::from_ref(&first)).await;
    let second = fired(20);
    assert_eq!(settle(&world, 20, Overlap::Skip, std::slice::from_ref(&second)).await, []);
    let run = world.claimed(at(25)).await.run;
    assert_eq!(settle(&world, 30, Overlap::Skip, &[fired(30)]).await, []);
    assert_eq!(handled(&world).await, at(30), "skipped is handled");
    world.end(run, done(), at(35)).await;
    assert_eq!(settle(&world, 36, Overlap::Skip, &[fired(20)]).await, [], "skipped for ever");
    assert_eq!(settle(&world, 40, Overlap::Skip, &[fired(40)]).await.len(), 1);
}

#[tokio::test]
async fn of_several_fires_at_once_the_later_ones_overlap_the_first() {
    let world = World::new().await;
    let jobs = [fired(10), fired(20), fired(30)];
    assert_eq!(settle(&world, 30, Overlap::Skip, &jobs).await, [jobs[0].id]);
}

#[tokio::test]
async fn queued_overlap_runs_every_fire() {
    let world = World::new().await;
    let jobs = [fired(10), fired(20), fired(30)];
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(settle(&world, 30, Overlap::Queue, &jobs).await, ids);
}

#[tokio::test]
async fn schedules_do_not_overlap_each_other() {
    let world = World::new().await;
    settle(&world, 10, Overlap::Skip, &[fired(10)]).await;
    let fire = Fire { schedule: "plugin/other".to_owned(), at: at(10) };
    let job = NewJob { fire: Some(fire), ..new_job() };
    let other = Settlement {
        schedule: "plugin/other".to_owned(),
        ..settlement(10, Overlap::Skip, std::slice::from_ref(&job))
    };
    assert_eq!(world.settle(other).await.unwrap(), [job.id]);
}

#[tokio::test]
async fn a_settlement_that_fails_half_way_writes_nothing() {
    let world = World::new().await;
    let good = fired(10);
    let refused = NewJob { attempts_max: 0, ..fired(20) };
    let half = settlement(20, Overlap::Queue, &[good.clone(), refused]);
    let other = new_job();
    world.rung().await;
    let (settled, submitted) = tokio::join!(world.settle(half), world.submit(other.clone()));
    assert!(matches!(settled, Err(StoreError::Broken { .. })), "{settled:?}");
    assert_eq!(submitted.unwrap().id(), other.id);
    assert_eq!(world.job(good.id).await.unwrap(), None);
    assert!(!world.rung().await.contains(&Change::Job(good.id)));
    assert_eq!(handled(&world).await, at(999), "the schedule is as new");
    assert_eq!(settle(&world, 20, Overlap::Queue, std::slice::from_ref(&good)).await, [good.id]);
}
