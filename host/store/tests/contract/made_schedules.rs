//! Schedules that are made over HTTP: making, changing, pausing, deleting.

use roughneck_jobs::{
    ports::{
        bell::Change,
        schedules::{Created, Settled, Settlement},
    },
    priority::Priority,
    schedule::{CATCH_UP_MAX, Kept, Missed, Overlap, Pause, Spec},
    state::State,
};

use crate::{
    crash::crashing,
    database,
    given::{World, at, done, fired},
};

const ID: &str = "nightly";

fn spec() -> Spec {
    Spec {
        id: ID.to_owned(),
        kind: "test.echo".to_owned(),
        expr: "0 3 * * *".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        input: r#"{"z": 1.0, "text":"hello \u0000 wörld"}"#.to_owned(),
        priority: Some(Priority::LOW),
        caller: Some("alice".parse().unwrap()),
        missed: Missed::All,
        missed_max: 7,
        overlap: Overlap::Queue,
    }
}

fn pause(since: u64, reason: &str) -> Pause {
    Pause { since: at(since), reason: reason.to_owned() }
}

impl World {
    async fn made(&self) -> Kept {
        let created = self.create_schedule(spec(), None, at(5), 10).await.unwrap();
        assert_eq!(created, Created::New);
        self.kept().await
    }

    async fn kept(&self) -> Kept {
        self.schedule(ID).await.unwrap().unwrap()
    }

    /// Settles a fire as decided for `kept`.
    async fn settle_for(&self, kept: &Kept, fire: u64) -> Settled {
        let settlement = Settlement {
            schedule: ID.to_owned(),
            revision: kept.revision,
            up_to: at(fire),
            jobs: vec![fired(ID, fire)],
            missed: 2,
            overlap: Overlap::Skip,
        };
        self.settle(settlement).await.unwrap()
    }
}

#[test]
fn a_schedule_is_kept_as_it_was_made_also_after_a_crash() {
    let database = database::new();
    let kept = crashing(async || World::of(&*database).await.made().await);
    let made = kept.made.clone().unwrap();
    assert_eq!((made.spec, made.created_at, made.changed_at), (spec(), at(5), at(5)));
    assert_eq!((kept.handled_up_to, kept.timing.clone()), (at(5), Some(spec().timing())));
    crashing(async || assert_eq!(World::of(&*database).await.kept().await, kept));
}

#[tokio::test]
async fn a_list_has_all_schedules_by_id_without_their_inputs() {
    let world = World::new().await;
    world.made().await;
    world.remember_schedule("a/b", "UTC @every 1h", at(1)).await.unwrap();
    let plain = Spec { id: "plain".to_owned(), priority: None, caller: None, ..spec() };
    world.create_schedule(plain, Some(pause(6, "not yet")), at(6), 10).await.unwrap();
    let all = world.schedules().await.unwrap();
    let ids: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["a/b", ID, "plain"]);
    assert_eq!((&all[0].made, &all[2].paused), (&None, &Some(pause(6, "not yet"))));
    let callers = all.iter().filter_map(|one| one.made.as_ref()).map(|made| &made.spec.caller);
    assert!(callers.eq([&spec().caller, &None]));
    let inputs = all.iter().filter_map(|one| one.made.as_ref()).map(|made| &made.spec.input);
    assert!(inputs.into_iter().all(String::is_empty));
}

#[tokio::test]
async fn an_id_is_made_once_and_the_number_of_schedules_has_a_limit() {
    let world = World::new().await;
    let kept = world.made().await;
    let again = Spec { expr: "@every 1h".to_owned(), ..spec() };
    assert_eq!(world.create_schedule(again, None, at(9), 1).await.unwrap(), Created::Exists);
    let other = Spec { id: "other".to_owned(), ..spec() };
    assert_eq!(world.create_schedule(other, None, at(9), 1).await.unwrap(), Created::Full);
    assert_eq!(world.schedules().await.unwrap().len(), 1);
    assert_eq!(world.kept().await, kept);
}

#[tokio::test]
async fn a_change_keeps_what_is_due_unless_the_timing_is_another() {
    let world = World::new().await;
    let first = world.made().await;
    let kind = Spec { kind: "test.other".to_owned(), ..spec() };
    assert!(world.change_schedule(kind.clone(), at(20)).await.unwrap());
    let second = world.kept().await;
    let made = second.made.clone().unwrap();
    assert_eq!((made.spec, made.created_at, made.changed_at), (kind, at(5), at(20)));
    assert_eq!(second.handled_up_to, at(5));
    let expr = Spec { expr: "0 4 * * *".to_owned(), ..spec() };
    assert!(world.change_schedule(expr, at(30)).await.unwrap());
    let third = world.kept().await;
    assert_eq!(third.handled_up_to, at(30));
    assert!(first.revision < second.revision && second.revision < third.revision);
}

#[tokio::test]
async fn whom_a_schedule_is_for_is_changed_and_cleared_like_the_rest_of_it() {
    let world = World::new().await;
    let made = world.made().await;
    for (n, caller) in [(20, Some("bob".parse().unwrap())), (30, None)] {
        let spec = Spec { caller, ..spec() };
        assert!(world.change_schedule(spec.clone(), at(n)).await.unwrap());
        let kept = world.kept().await;
        assert_eq!(kept.made.clone().map(|made| made.spec), Some(spec));
        assert_eq!(kept.handled_up_to, at(5), "what is due stays due");
        assert_eq!(world.settle_for(&made, 25).await, Settled::Stale, "it was for another");
    }
}

#[tokio::test]
async fn a_paused_schedule_keeps_its_reason_and_starts_anew_when_it_is_resumed() {
    let world = World::new().await;
    world.made().await;
    for (since, reason) in [(10, "maintenance"), (20, "again")] {
        assert!(world.pause_schedule(ID, pause(since, reason)).await.unwrap());
        assert_eq!(world.kept().await.paused, Some(pause(10, "maintenance")));
    }
    assert_eq!(world.kept().await.handled_up_to, at(5));
    for now in [30, 40] {
        assert!(world.resume_schedule(ID, at(now)).await.unwrap());
        let kept = world.kept().await;
        assert_eq!((kept.paused, kept.handled_up_to), (None, at(30)));
    }
}

#[tokio::test]
async fn a_schedule_of_a_manifest_can_be_paused_and_is_neither_changed_nor_deleted() {
    let world = World::new().await;
    let id = "plugin/nightly";
    world.remember_schedule(id, "UTC @every 1h", at(1)).await.unwrap();
    assert!(world.pause_schedule(id, pause(10, "x")).await.unwrap());
    let of_manifest = Spec { id: id.to_owned(), ..spec() };
    assert!(!world.change_schedule(of_manifest, at(20)).await.unwrap());
    assert!(!world.delete_schedule(id).await.unwrap());
    let kept = world.remember_schedule(id, "UTC @every 1h", at(30)).await.unwrap();
    assert_eq!((kept.paused, kept.made), (Some(pause(10, "x")), None));
}

#[tokio::test]
async fn of_what_is_unknown_nothing_is_changed() {
    let world = World::new().await;
    assert!(!world.change_schedule(spec(), at(1)).await.unwrap());
    assert!(!world.delete_schedule(ID).await.unwrap());
    assert!(!world.pause_schedule(ID, pause(1, "x")).await.unwrap());
    assert!(!world.resume_schedule(ID, at(1)).await.unwrap());
    assert_eq!(world.schedule(ID).await.unwrap(), None);
    assert!(!world.rung().await.contains(&Change::Schedule));
}

#[tokio::test]
async fn what_was_decided_before_a_change_a_pause_or_a_deletion_is_not_written() {
    let world = World::new().await;
    let before = world.made().await;
    world.pause_schedule(ID, pause(10, "x")).await.unwrap();
    assert_eq!(world.settle_for(&before, 10).await, Settled::Stale);
    world.resume_schedule(ID, at(11)).await.unwrap();
    assert_eq!(world.settle_for(&before, 10).await, Settled::Stale);
    let before = world.kept().await;
    world.change_schedule(Spec { missed_max: 8, ..spec() }, at(12)).await.unwrap();
    assert_eq!(world.settle_for(&before, 10).await, Settled::Stale);
    let before = world.kept().await;
    assert!(world.delete_schedule(ID).await.unwrap());
    assert_eq!(world.settle_for(&before, 10).await, Settled::Stale);
    assert_eq!(world.schedule(ID).await.unwrap(), None);
    world.made().await;
    assert_eq!(world.settle_for(&before, 10).await, Settled::Stale, "it is another one");
    assert_eq!(world.jobs(Default::default()).await.unwrap(), []);
}

#[tokio::test]
async fn a_schedule_that_is_made_again_repeats_no_fire_and_counts_anew() {
    let world = World::new().await;
    let first = world.made().await;
    assert!(
        matches!(world.settle_for(&first, 10).await, Settled::Submitted(jobs) if jobs.len() == 1)
    );
    let run = world.claimed(at(11)).await.run;
    world.end(run, done(), at(12)).await;
    assert_eq!(world.kept().await.fires_missed, 2);
    world.delete_schedule(ID).await.unwrap();
    assert_eq!(world.get_job(run.job).await.state, State::Done, "its jobs stay");
    let again = world.made().await;
    assert_eq!((again.fires_missed, again.last_fire), (0, None));
    assert_eq!(world.settle_for(&again, 10).await, Settled::Submitted(Vec::new()));
    assert!(
        matches!(world.settle_for(&again, 20).await, Settled::Submitted(jobs) if jobs.len() == 1)
    );
}

#[tokio::test]
async fn the_last_fire_stays_when_its_job_is_deleted() {
    let world = World::new().await;
    let kept = world.made().await;
    world.settle_for(&kept, 10).await;
    let run = world.claimed(at(11)).await.run;
    world.end(run, done(), at(12)).await;
    assert_eq!(world.kept().await.last_fire.unwrap().job, Some(run.job));
    world.retire(State::Done, at(12), 9).await.unwrap();
    let last = world.kept().await.last_fire.unwrap();
    assert_eq!((last.at, last.job), (at(10), None));
}

#[tokio::test]
async fn every_change_rings_for_the_schedules() {
    let world = World::new().await;
    let rung = async || world.rung().await == [Change::Schedule];
    world.rung().await;
    world.made().await;
    assert!(rung().await);
    world.change_schedule(spec(), at(6)).await.unwrap();
    assert!(rung().await);
    world.pause_schedule(ID, pause(7, "x")).await.unwrap();
    assert!(rung().await);
    world.resume_schedule(ID, at(8)).await.unwrap();
    assert!(rung().await);
    world.delete_schedule(ID).await.unwrap();
    assert!(rung().await);
    world
        .create_schedule(Spec { missed_max: CATCH_UP_MAX, ..spec() }, None, at(9), 0)
        .await
        .unwrap();
    assert!(!rung().await);
}
