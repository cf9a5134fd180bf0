//! Schedules. Every story begins at 08:00 UTC.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use roughneck_jobs::{
    budget::{Limits, Whose},
    clock::{Clock as _, Millis},
    mark::{Mark, Passed},
    ports::{
        budgets::Budgets as _,
        schedules::{Created, Schedules as _},
    },
    schedule::{CATCH_UP_MAX, Kept, Missed, Overlap, Pause, Spec},
    state::State,
};

use crate::world::{Act, CALL, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

const TWO: &str = r#"
[[cron]]
id = "broken"
kind = "act"
expr = "@every 1m"
[[cron]]
id = "hourly"
kind = "act"
expr = "@every 1h"
overlap = "queue"
"#;

const HOURLY: &str = r#"
[[cron]]
id = "hourly"
kind = "act"
expr = "0 * * * *"
"#;

const MANIFEST: &str = "actor/hourly";
const MADE: &str = "made";

fn spec(expr: &str) -> Spec {
    Spec {
        id: MADE.into(),
        kind: "act".into(),
        expr: expr.into(),
        zone: "UTC".into(),
        input: "{}".into(),
        priority: None,
        caller: None,
        missed: Missed::Once,
        missed_max: CATCH_UP_MAX,
        overlap: Overlap::Skip,
    }
}

impl World {
    async fn make(&self, spec: Spec) {
        let created = self.store.create_schedule(spec, None, self.time.now(), 100).await;
        assert_eq!(created.unwrap(), Created::New);
    }

    async fn pause(&self) {
        let pause = Pause { since: self.time.now(), reason: "a test".into() };
        assert!(self.store.pause_schedule(MADE, pause).await.unwrap());
    }

    async fn resume(&self) {
        assert!(self.store.resume_schedule(MADE, self.time.now()).await.unwrap());
    }

    async fn kept(&self, id: &str) -> Kept {
        self.store.schedule(id).await.unwrap().unwrap()
    }

    /// The fires of a schedule that ran, as hours and minutes of the day.
    fn fired(&self, id: &str) -> Vec<String> {
        let clock = |at: Millis| at.to_string()[11..16].to_owned();
        self.store.fired(id).into_iter().map(clock).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_fires_on_time_although_another_one_is_broken() {
    let world = World::with_schedules([], TWO, |store| store.break_schedule("actor/broken")).await;
    world.pass(3 * HOUR + MINUTE / 2).await;
    assert_eq!(world.store.ids().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fire_whose_model_answers_elsewhere_takes_no_slot_of_the_gpu() {
    let world = World::with_schedules([], "", |_| {}).await;
    let calls = Spec { kind: "ollama.call".into(), input: CALL.into(), ..spec("@every 1h") };
    world.make(calls).await;
    world.pass(HOUR + MINUTE).await;
    let ids = world.store.ids();
    let classes: Vec<_> = ids.iter().map(|id| world.store.look(*id).unwrap().class.0).collect();
    assert_eq!(classes, ["io"]);
}

#[tokio::test(start_paused = true)]
async fn fires_go_on_the_account_of_whom_their_schedule_is_for_and_wait_when_it_is_used_up() {
    let callers = BTreeMap::from([("alice".to_owned(), 150), ("anonymous".to_owned(), 10)]);
    let limits = Limits { callers, ..Limits::default() };
    let world = World::with_budgets(vec![Act::Ask(100); 3], limits).await;
    world.make(Spec { caller: Some("alice".parse().unwrap()), ..spec("@every 1h") }).await;
    world.pass(2 * HOUR + MINUTE).await;
    let jobs: Vec<_> = world.store.ids().into_iter().map(|id| world.row(id)).collect();
    let [first, second] = &jobs[..] else { panic!("two fires: {jobs:?}") };
    assert_eq!((first.state, second.state, second.attempt), (State::Done, State::Scheduled, 0));
    let reason = second.reason.as_deref().unwrap();
    assert!(
        reason.starts_with("the token budget of the caller `alice` has no room until"),
        "{reason}"
    );
    let alice = Whose::Caller("alice".to_owned());
    let spent = |world: &World| {
        let balances = world.budgets.sheet().balances;
        balances.into_iter().find(|balance| balance.whose == alice).map(|balance| balance.spent)
    };
    assert_eq!(spent(&world), Some(100));
    // The next day begins.
    world.until(second.id, State::Done).await;
    assert_eq!(spent(&world), Some(100));
}

#[tokio::test(start_paused = true)]
async fn a_fire_while_no_new_jobs_are_taken_is_a_missed_one_and_runs_afterwards() {
    let world = World::with_schedules([], HOURLY, |_| {}).await;
    world.store.set_passed(Some(Passed { mark: Mark::Disk, level: 0, limit: 1 }));
    world.pass(3 * HOUR).await;
    assert!(world.fired(MANIFEST).is_empty());
    world.store.set_passed(None);
    world.pass(MINUTE).await;
    assert_eq!(world.fired(MANIFEST), ["11:00"], "the latest of those that were missed");
}

#[tokio::test(start_paused = true)]
async fn two_schedulers_of_one_store_fire_each_instant_once() {
    let world = World::with_schedules([], HOURLY, |_| {}).await;
    let _second = world.second_engine().await;
    world.make(Spec { overlap: Overlap::Queue, ..spec("@every 10m") }).await;
    world.pass(6 * HOUR + MINUTE).await;
    assert_eq!(world.fired(MANIFEST), ["09:00", "10:00", "11:00", "12:00", "13:00", "14:00"]);
    let fired = world.store.fired(MADE);
    assert_eq!(fired.len(), 36);
    assert!(fired.windows(2).all(|pair| pair[1].since_ms(pair[0]) == 600_000), "{fired:?}");
}

#[tokio::test(start_paused = true)]
async fn restarts_in_the_middle_lose_no_fire_and_repeat_none() {
    for minutes in [7, 30, 60, 61] {
        let mut world = World::with_schedules([], HOURLY, |_| {}).await;
        world.make(Spec { missed: Missed::All, ..spec("@every 20m") }).await;
        for _ in 0..600 / minutes {
            world.pass(minutes * MINUTE).await;
            world.restart().await;
        }
        world.pass(SECOND).await;
        let fired = world.store.fired(MADE);
        let hours = world.store.fired(MANIFEST).len();
        assert_eq!(hours as u32, 600 / minutes * minutes / 60, "every {minutes} minutes");
        assert_eq!(fired.len() as u32, 600 / minutes * minutes / 20, "every {minutes} minutes");
        assert!(fired.windows(2).all(|pair| pair[1].since_ms(pair[0]) == 1_200_000), "{fired:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_down_makes_up_for_what_each_policy_wants() {
    for (missed, missed_max, ran, passed) in [
        (Missed::Skip, CATCH_UP_MAX, 0, 8),
        (Missed::Once, CATCH_UP_MAX, 1, 7),
        (Missed::All, CATCH_UP_MAX, 8, 0),
        (Missed::All, 3, 3, 5),
    ] {
        let mut world = World::start([]).await;
        let overlap = Overlap::Queue;
        world.make(Spec { missed, missed_max, overlap, ..spec("@every 1h") }).await;
        world.pass(10 * MINUTE).await;
        world.engine.stop(Duration::ZERO).await;
        world.time.jump(8 * HOUR);
        world.restart().await;
        world.pass(MINUTE).await;
        let kept = world.kept(MADE).await;
        assert_eq!((world.store.fired(MADE).len(), kept.fires_missed), (ran, passed), "{missed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn catching_up_stops_at_a_hundred_fires() {
    let world = World::start([]).await;
    let (missed, overlap) = (Missed::All, Overlap::Queue);
    world.make(Spec { missed, overlap, ..spec("@every 1h") }).await;
    world.pass(MINUTE).await;
    world.time.jump(200 * HOUR);
    world.pass(MINUTE).await;
    assert_eq!(world.store.fired(MADE).len(), CATCH_UP_MAX as usize);
    assert_eq!(world.kept(MADE).await.fires_missed, 100);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_eight_hours_fires_once_and_then_on_time() {
    let world = World::with_schedules([], HOURLY, |_| {}).await;
    world.pass(30 * MINUTE).await;
    world.time.jump(8 * HOUR);
    world.pass(MINUTE).await;
    assert_eq!(world.fired(MANIFEST), ["16:00"]);
    world.pass(HOUR).await;
    assert_eq!(world.fired(MANIFEST), ["16:00", "17:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_forth_and_back_repeats_no_fire_and_misses_none() {
    let world = World::with_schedules([], HOURLY, |_| {}).await;
    world.pass(30 * MINUTE).await;
    world.time.jump(HOUR);
    world.pass(MINUTE).await;
    assert_eq!(world.fired(MANIFEST), ["09:00"], "it is 09:31");
    world.time.set_back(HOUR);
    world.pass(HOUR).await;
    assert_eq!(world.fired(MANIFEST), ["09:00"], "it is 09:31 again");
    world.pass(HOUR).await;
    assert_eq!(world.fired(MANIFEST), ["09:00", "10:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_repeats_no_fire() {
    let world = World::with_schedules([], HOURLY, |_| {}).await;
    world.pass(90 * MINUTE).await;
    world.time.set_back(HOUR);
    world.pass(2 * HOUR).await;
    assert_eq!(world.fired(MANIFEST), ["09:00", "10:00"], "it is 10:30");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_a_year_ahead_does_not_silence_a_schedule_for_a_year() {
    let mut world = World::with_schedules([], HOURLY, |_| {}).await;
    world.time.jump(365 * 24 * HOUR);
    world.pass(HOUR).await;
    world.time.set_back(365 * 24 * HOUR);
    world.pass(MINUTE).await;
    world.restart().await;
    let before = world.store.fired(MANIFEST).len();
    world.pass(3 * HOUR).await;
    assert_eq!(world.store.fired(MANIFEST).len(), before + 3);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_made_is_noticed_at_once() {
    let world = World::start([]).await;
    world.pass(Duration::from_millis(100)).await;
    world.make(Spec { overlap: Overlap::Queue, ..spec("@every 1s") }).await;
    world.pass(3 * SECOND).await;
    assert_eq!(world.store.fired(MADE).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_passed_just_before_a_schedule_was_made_edited_or_resumed_does_not_fire() {
    let world = World::start([]).await;
    // It fires at 08:00:40 and 08:01:20, and the engine looks every half minute anyway.
    let every = |period: &str| Spec { missed: Missed::All, ..spec(&format!("@every {period}")) };
    world.pass(45 * SECOND).await;
    world.make(every("40s")).await;
    world.pass(SECOND).await;
    assert!(world.fired(MADE).is_empty(), "08:00:40 was before it was made");
    assert!(world.store.change_schedule(every("15s"), world.time.now()).await.unwrap());
    world.pass(SECOND).await;
    assert!(world.fired(MADE).is_empty(), "08:00:45 was before it was edited");
    world.pause().await;
    world.pass(20 * SECOND).await;
    world.resume().await;
    world.pass(SECOND).await;
    assert!(world.fired(MADE).is_empty(), "08:01:00 was before it was resumed");
    world.pass(10 * SECOND).await;
    assert_eq!(world.fired(MADE), ["08:01"]);
}

#[tokio::test(start_paused = true)]
async fn an_edited_expression_is_the_same_schedule_and_fires_no_past() {
    let world = World::start([]).await;
    world.make(Spec { missed: Missed::All, ..spec("0 * * * *") }).await;
    world.pass(105 * MINUTE).await;
    let edited = Spec { missed: Missed::All, ..spec("*/30 * * * *") };
    assert!(world.store.change_schedule(edited, world.time.now()).await.unwrap());
    world.pass(MINUTE).await;
    assert_eq!(world.fired(MADE), ["09:00"], "09:30 was never promised");
    world.pass(HOUR).await;
    assert_eq!(world.fired(MADE), ["09:00", "10:00", "10:30"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_schedule_fires_nothing_and_makes_up_for_nothing() {
    let mut world = World::start([]).await;
    world.make(Spec { missed: Missed::All, ..spec("@every 1h") }).await;
    world.pass(HOUR + MINUTE).await;
    world.pause().await;
    world.pass(2 * HOUR).await;
    world.restart().await;
    world.pass(HOUR).await;
    assert_eq!(world.fired(MADE), ["09:00"]);
    world.resume().await;
    world.pass(MINUTE).await;
    assert_eq!(world.fired(MADE), ["09:00"], "it is 12:02");
    world.pass(HOUR).await;
    assert_eq!(world.fired(MADE), ["09:00", "13:00"]);
    assert_eq!(world.kept(MADE).await.fires_missed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_schedule_fires_nothing_and_made_again_repeats_nothing() {
    let world = World::start([]).await;
    world.make(spec("@every 1h")).await;
    world.pass(HOUR + MINUTE).await;
    assert!(world.store.delete_schedule(MADE).await.unwrap());
    world.pass(2 * HOUR).await;
    world.make(Spec { missed: Missed::All, ..spec("@every 1h") }).await;
    world.pass(HOUR).await;
    assert_eq!(world.fired(MADE), ["09:00", "12:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_whose_kind_is_gone_fires_nothing_until_it_is_back() {
    let world = World::start([]).await;
    world.make(spec("@every 1h")).await;
    world.actors.is_uninstalled.store(true, Ordering::Relaxed);
    world.pass(2 * HOUR + MINUTE).await;
    assert!(world.store.fired(MADE).is_empty());
    assert_eq!(world.kept(MADE).await.fires_missed, 2);
    world.actors.is_uninstalled.store(false, Ordering::Relaxed);
    world.pass(HOUR).await;
    assert_eq!(world.fired(MADE), ["11:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_fire_is_skipped_and_counted_while_the_last_job_runs() {
    let world = World::start([Act::Work(45 * MINUTE)]).await;
    world.make(spec("@every 30m")).await;
    world.pass(91 * MINUTE).await;
    assert_eq!(world.fired(MADE), ["08:30", "09:30"]);
    assert_eq!(world.kept(MADE).await.fires_skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn an_ollama_that_hangs_holds_up_all_schedules_of_an_hour_once_and_not_one_after_the_other() {
    let world = World::start([]).await;
    world.actors.ollama_hangs.store(true, Ordering::Relaxed);
    for n in 0..100 {
        let (id, kind) = (format!("call-{n}"), "ollama.call".to_owned());
        world.make(Spec { id, kind, input: CALL.to_owned(), ..spec("0 * * * *") }).await;
    }
    world.pass(HOUR + 5 * SECOND).await;
    assert_eq!(world.store.ids().len(), 100);
}
