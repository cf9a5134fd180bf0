//! Schedules and their fires.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    input_key::UniqueKey,
    job::NewJob,
    ports::{
        bell::Change,
        schedules::{Settled, Settlement},
        store::StoreError,
    },
    schedule::{Fire, LastFire, Overlap},
    state::State,
};

use crate::given::{World, at, done, fired, new_job};

const SCHEDULE: &str = "plugin/nightly";
const TIMING: &str = "UTC 0 3 * * *";

fn job(fire: u64) -> NewJob {
    fired(SCHEDULE, fire)
}

async fn settle(world: &World, up_to: u64, overlap: Overlap, jobs: &[NewJob]) -> Vec<JobId> {
    world.settled(SCHEDULE, at(up_to), overlap, jobs).await
}

async fn handled(world: &World) -> Millis {
    world.schedule(SCHEDULE).await.unwrap().unwrap().handled_up_to
}

#[tokio::test]
async fn a_new_schedule_starts_now_and_remembers_it() {
    let world = World::new().await;
    let remember =
        async |id, now| world.remember_schedule(id, TIMING, at(now)).await.unwrap().handled_up_to;
    assert_eq!(remember(SCHEDULE, 5).await, at(5));
    assert_eq!(remember(SCHEDULE, 9).await, at(5));
    assert_eq!(remember("plugin/other", 9).await, at(9));
}

#[tokio::test]
async fn a_schedule_with_another_timing_is_the_same_one_and_starts_anew() {
    let world = World::new().await;
    let first = world.remember_schedule(SCHEDULE, TIMING, at(5)).await.unwrap();
    let edited = world.remember_schedule(SCHEDULE, "UTC 0 4 * * *", at(9)).await.unwrap();
    assert_eq!((edited.handled_up_to, edited.timing.as_deref()), (at(9), Some("UTC 0 4 * * *")));
    assert!(edited.revision > first.revision);
    assert_eq!(world.schedules().await.unwrap(), [edited]);
}

#[tokio::test]
async fn a_fire_submits_its_job_and_is_handled() {
    let world = World::new().await;
    let job = job(10);
    assert_eq!(settle(&world, 10, Overlap::Skip, std::slice::from_ref(&job)).await, [job.id]);
    let submitted = world.get_job(job.id).await;
    assert_eq!((submitted.state, submitted.fire), (State::Queued, job.fire));
    assert_eq!(handled(&world).await, at(10));
    let kept = world.schedule(SCHEDULE).await.unwrap().unwrap();
    assert_eq!(kept.last_fire, Some(LastFire { at: at(10), job: Some(job.id) }));
}

#[tokio::test]
async fn a_job_that_somebody_ran_by_hand_says_so() {
    let world = World::new().await;
    let fire = Some(Fire { schedule: SCHEDULE.to_owned(), at: None });
    let id = world.submitted(NewJob { fire: fire.clone(), ..new_job() }).await;
    assert_eq!(world.get_job(id).await.fire, fire);
    assert_eq!(settle(&world, 10, Overlap::Skip, &[job(10)]).await, [], "it has not ended");
}

#[tokio::test]
async fn a_fire_whose_unique_key_is_taken_is_skipped_and_the_next_one_runs() {
    let world = World::new().await;
    let unique = |fire| {
        let until = None;
        NewJob { unique: Some(UniqueKey { key: "draft 7".to_owned(), until }), ..job(fire) }
    };
    let first = NewJob { fire: None, ..unique(0) };
    let run = world.running(first).await;
    assert_eq!(settle(&world, 10, Overlap::Queue, &[unique(10)]).await, []);
    let kept = world.schedule(SCHEDULE).await.unwrap().unwrap();
    assert_eq!((kept.handled_up_to, kept.last_fire, kept.fires_skipped), (at(10), None, 1));
    world.end(run, done(), at(15)).await;
    let next = unique(20);
    assert_eq!(settle(&world, 20, Overlap::Queue, std::slice::from_ref(&next)).await, [next.id]);
}

#[tokio::test]
async fn a_fire_runs_once_even_if_it_is_settled_twice_with_other_jobs() {
    let world = World::new().await;
    settle(&world, 10, Overlap::Queue, &[job(10)]).await;
    let second = job(10);
    assert_eq!(settle(&world, 10, Overlap::Queue, std::slice::from_ref(&second)).await, []);
    assert_eq!(world.job(second.id).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_settlements_of_one_fire_at_once_one_submits() {
    let world = World::new().await;
    let jobs = [[job(10)], [job(10)]];
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
async fn a_fire_is_skipped_and_counted_while_the_last_job_has_not_ended() {
    let world = World::new().await;
    settle(&world, 10, Overlap::Skip, &[job(10)]).await;
    assert_eq!(settle(&world, 20, Overlap::Skip, &[job(20)]).await, []);
    let run = world.claimed(at(25)).await.run;
    assert_eq!(settle(&world, 30, Overlap::Skip, &[job(30)]).await, []);
    assert_eq!(handled(&world).await, at(30), "skipped is handled");
    world.end(run, done(), at(35)).await;
    assert_eq!(settle(&world, 36, Overlap::Skip, &[job(20)]).await, [], "skipped for ever");
    assert_eq!(settle(&world, 40, Overlap::Skip, &[job(40)]).await.len(), 1);
    assert_eq!(world.schedule(SCHEDULE).await.unwrap().unwrap().fires_skipped, 2);
}

#[tokio::test]
async fn of_several_fires_at_once_the_later_ones_overlap_the_first() {
    let world = World::new().await;
    let jobs = [job(10), job(20), job(30)];
    assert_eq!(settle(&world, 30, Overlap::Skip, &jobs).await, [jobs[0].id]);
}

#[tokio::test]
async fn queued_overlap_runs_every_fire() {
    let world = World::new().await;
    let jobs = [job(10), job(20), job(30)];
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(settle(&world, 30, Overlap::Queue, &jobs).await, ids);
    let last = world.schedule(SCHEDULE).await.unwrap().unwrap().last_fire;
    assert_eq!(last, Some(LastFire { at: at(30), job: Some(ids[2]) }));
}

#[tokio::test]
async fn schedules_do_not_overlap_each_other() {
    let world = World::new().await;
    settle(&world, 10, Overlap::Skip, &[job(10)]).await;
    let other = fired("plugin/other", 10);
    let jobs = std::slice::from_ref(&other);
    assert_eq!(world.settled("plugin/other", at(10), Overlap::Skip, jobs).await, [other.id]);
}

#[tokio::test]
async fn what_was_decided_for_another_revision_is_not_written() {
    let world = World::new().await;
    let kept = world.remember_schedule(SCHEDULE, TIMING, at(0)).await.unwrap();
    let job = job(10);
    for (schedule, revision) in [(SCHEDULE, kept.revision - 1), ("plugin/unknown", kept.revision)] {
        let settlement = Settlement {
            schedule: schedule.to_owned(),
            revision,
            up_to: at(10),
            jobs: vec![job.clone()],
            missed: 3,
            overlap: Overlap::Queue,
        };
        assert_eq!(world.settle(settlement).await.unwrap(), Settled::Stale);
    }
    assert_eq!(world.job(job.id).await.unwrap(), None);
    assert_eq!(world.schedules().await.unwrap(), [kept]);
}

#[tokio::test]
async fn a_settlement_that_fails_half_way_writes_nothing() {
    let world = World::new().await;
    let kept = world.remember_schedule(SCHEDULE, TIMING, at(0)).await.unwrap();
    let good = job(10);
    let refused = NewJob { attempts_max: 0, ..job(20) };
    let half = Settlement {
        schedule: SCHEDULE.to_owned(),
        revision: kept.revision,
        up_to: at(20),
        jobs: vec![good.clone(), refused],
        missed: 1,
        overlap: Overlap::Queue,
    };
    let other = new_job();
    world.rung().await;
    let (settled, submitted) = tokio::join!(world.settle(half), world.submit(other.clone()));
    assert!(matches!(settled, Err(StoreError::Broken { .. })), "{settled:?}");
    assert_eq!(submitted.unwrap().id(), other.id);
    assert_eq!(world.job(good.id).await.unwrap(), None);
    assert!(!world.rung().await.contains(&Change::Job(good.id)));
    assert_eq!(world.schedule(SCHEDULE).await.unwrap(), Some(kept), "the schedule is as new");
    assert_eq!(settle(&world, 20, Overlap::Queue, std::slice::from_ref(&good)).await, [good.id]);
}
