//! The outbox.

use roughneck_jobs::{
    delivery::{Delivery, DeliveryOutcome, DeliveryState, Notice},
    failure::Failure,
    job::NewJob,
    ports::{
        bell::Change,
        outbox::Busy,
        store::{Finish, Verdict},
    },
    run::{LOSSES_MAX, Run},
};
use serde_json::Value;

use crate::given::{World, at, done, ending, failure, job_with_callback, new_job, retry};

fn notice(event: &str) -> Notice {
    Notice { target: "cms".to_owned(), event: event.to_owned(), data: r#"{"n":1}"#.to_owned() }
}

/// A job that ended with two notices and its callback, all for one target.
async fn three_for_one_target(world: &World) -> (Run, Vec<Delivery>) {
    let run = world.running(job_with_callback()).await;
    let notices = vec![notice("first"), notice("second")];
    world.finish(run, Finish { notices, ..ending(done(), at(1)) }).await.unwrap();
    (run, world.deliveries(run.job).await.unwrap())
}

async fn due(world: &World, now: u64) -> Vec<String> {
    let due = world.due_deliveries(at(now), 10, &Busy::default()).await.unwrap().due;
    due.into_iter().map(|delivery| delivery.event).collect()
}

fn again(delay_ms: u64) -> DeliveryOutcome {
    DeliveryOutcome::Retry { delay_ms, error: "503".to_owned() }
}

#[tokio::test]
async fn each_verdict_that_ends_a_job_writes_one_callback() {
    let world = World::new().await;
    let verdicts = [
        (done(), "job.done"),
        (Verdict::Fail { failure: failure() }, "job.failed"),
        (Verdict::Cancel { failure: Failure::fatal("moot", "moot") }, "job.cancelled"),
    ];
    for (verdict, event) in verdicts {
        let run = world.running(job_with_callback()).await;
        world.rung().await;
        world.end(run, verdict, at(1)).await;
        assert!(world.rung().await.contains(&Change::Delivery));
        let deliveries = world.deliveries(run.job).await.unwrap();
        assert_eq!(deliveries.len(), 1);
        assert_eq!(deliveries[0].event, event);
        assert_eq!(deliveries[0].target, "cms".parse().unwrap());
        let body: Value = serde_json::from_str(&deliveries[0].body).unwrap();
        assert_eq!(body["type"], event);
        assert_eq!(body["timestamp"], at(1).to_string());
        assert_eq!(body["data"]["id"], run.job.to_string());
        assert_eq!(body["data"]["state"], event.trim_start_matches("job."));
        assert_eq!(body["data"]["attempt"], 1);
    }
}

#[tokio::test]
async fn a_cancel_and_a_poison_loss_write_the_callback_too() {
    let world = World::new().await;
    let waiting = world.submitted(job_with_callback()).await;
    world.cancel(waiting, at(1)).await.unwrap();
    let running = world.running(job_with_callback()).await.job;
    world.cancel(running, at(1)).await.unwrap();
    world.cancel(running, at(2)).await.unwrap();
    let poison = world.submitted(job_with_callback()).await;
    for loss in 1..=u64::from(LOSSES_MAX) {
        world.claimed(at(loss * 100_000)).await;
        world.reap(at(loss * 100_000 + 60_000), 10).await.unwrap();
    }
    for (id, event) in
        [(waiting, "job.cancelled"), (running, "job.cancelled"), (poison, "job.failed")]
    {
        let events: Vec<_> =
            world.deliveries(id).await.unwrap().into_iter().map(|d| d.event).collect();
        assert_eq!(events, [event]);
    }
}

#[tokio::test]
async fn a_job_without_callback_and_a_job_that_goes_on_write_nothing() {
    let world = World::new().await;
    let silent = world.running(new_job()).await;
    world.end(silent, done(), at(1)).await;
    assert_eq!(world.deliveries(silent.job).await.unwrap(), []);
    for verdict in [retry(5), Verdict::Postpone { delay_ms: 5, failure: failure() }] {
        let run = world.running(job_with_callback()).await;
        let finish = Finish { notices: vec![notice("n")], ..ending(verdict, at(1)) };
        world.finish(run, finish).await.unwrap();
        assert_eq!(world.deliveries(run.job).await.unwrap(), []);
    }
}

#[tokio::test]
async fn notices_come_before_the_callback_and_only_with_a_result() {
    let world = World::new().await;
    let (_, deliveries) = three_for_one_target(&world).await;
    let events: Vec<_> = deliveries.iter().map(|delivery| delivery.event.as_str()).collect();
    assert_eq!(events, ["first", "second", "job.done"]);
    let body: Value = serde_json::from_str(&deliveries[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["n"]), (&"first".into(), &1.into()));

    let run = world.running(job_with_callback()).await;
    let verdict = Verdict::Fail { failure: failure() };
    let finish = Finish { notices: vec![notice("never")], ..ending(verdict, at(1)) };
    world.finish(run, finish).await.unwrap();
    let deliveries = world.deliveries(run.job).await.unwrap();
    assert_eq!(deliveries.into_iter().map(|d| d.event).collect::<Vec<_>>(), ["job.failed"]);
}

#[tokio::test]
async fn deliveries_of_a_job_to_one_target_are_due_one_after_the_other() {
    let world = World::new().await;
    let (_, deliveries) = three_for_one_target(&world).await;
    assert_eq!(due(&world, 0).await, [""; 0], "nothing before its time");
    assert_eq!(due(&world, 1).await, ["first"]);
    world.record_delivery(deliveries[0].id, again(100), at(2)).await.unwrap();
    assert_eq!(due(&world, 50).await, [""; 0], "the others wait for the first");
    assert_eq!(
        world.due_deliveries(at(50), 10, &Busy::default()).await.unwrap().next_at,
        Some(at(102))
    );
    assert_eq!(due(&world, 102).await, ["first"]);
    world.rung().await;
    world.record_delivery(deliveries[0].id, DeliveryOutcome::Delivered, at(103)).await.unwrap();
    assert_eq!(world.rung().await, [Change::Delivery]);
    assert_eq!(due(&world, 103).await, ["second"]);
    let give_up = DeliveryOutcome::GiveUp { error: "410".to_owned() };
    world.record_delivery(deliveries[1].id, give_up, at(104)).await.unwrap();
    assert_eq!(due(&world, 104).await, ["job.done"], "a dead one does not block the next");
}

#[tokio::test]
async fn other_jobs_and_other_targets_do_not_wait() {
    let world = World::new().await;
    three_for_one_target(&world).await;
    let run = world.running(job_with_callback()).await;
    let other = Notice { target: "crm".to_owned(), ..notice("elsewhere") };
    world.finish(run, Finish { notices: vec![other], ..ending(done(), at(1)) }).await.unwrap();
    assert_eq!(due(&world, 1).await, ["first", "elsewhere", "job.done"]);
    let some = world.due_deliveries(at(1), 2, &Busy::default()).await.unwrap();
    assert_eq!((some.due.len(), some.next_at), (2, Some(at(1))), "there are more");
}

#[tokio::test]
async fn what_is_under_way_and_targets_without_room_are_passed_over() {
    let world = World::new().await;
    let (_, deliveries) = three_for_one_target(&world).await;
    let run = world.running(job_with_callback()).await;
    let other = Notice { target: "crm".to_owned(), ..notice("elsewhere") };
    world.finish(run, Finish { notices: vec![other], ..ending(done(), at(1)) }).await.unwrap();
    let due = async |busy: Busy| {
        // As many as have room: whoever is passed over takes no place of theirs.
        let due = world.due_deliveries(at(1), 2, &busy).await.unwrap().due;
        due.into_iter().map(|delivery| delivery.event).collect::<Vec<_>>()
    };
    let deliveries = vec![deliveries[0].id];
    let under_way = Busy { deliveries, ..Busy::default() };
    assert_eq!(due(under_way).await, ["elsewhere", "job.done"]);
    let full = Busy { targets: vec!["cms".parse().unwrap()], ..Busy::default() };
    assert_eq!(due(full).await, ["elsewhere"]);
}

#[tokio::test]
async fn an_outcome_is_kept_with_its_time_and_error() {
    let world = World::new().await;
    let (run, deliveries) = three_for_one_target(&world).await;
    world.record_delivery(deliveries[0].id, again(7), at(10)).await.unwrap();
    world.record_delivery(deliveries[0].id, DeliveryOutcome::Delivered, at(20)).await.unwrap();
    let give_up = DeliveryOutcome::GiveUp { error: "410".to_owned() };
    world.record_delivery(deliveries[1].id, give_up, at(30)).await.unwrap();
    world.record_delivery(deliveries[2].id, again(7), at(40)).await.unwrap();

    let now = world.deliveries(run.job).await.unwrap();
    let told: Vec<_> = now.iter().map(|d| (d.state, d.attempts, d.finished_at)).collect();
    let expected = [
        (DeliveryState::Delivered, 2, Some(at(20))),
        (DeliveryState::Dead, 1, Some(at(30))),
        (DeliveryState::Pending, 1, None),
    ];
    assert_eq!(told, expected);
    let errors: Vec<_> = now.iter().map(|d| d.last_error.as_deref()).collect();
    assert_eq!(errors, [None, Some("410"), Some("503")]);
    assert_eq!(now[2].next_at, at(47));
    assert_eq!(now[0].id, deliveries[0].id, "receivers deduplicate on it");
}

#[tokio::test]
async fn the_first_end_of_a_delivery_stands() {
    let world = World::new().await;
    let run = world.running(job_with_callback()).await;
    world.end(run, done(), at(1)).await;
    let id = world.deliveries(run.job).await.unwrap()[0].id;
    world.record_delivery(id, DeliveryOutcome::Delivered, at(2)).await.unwrap();
    let before = world.deliveries(run.job).await.unwrap();
    world.record_delivery(id, again(1), at(3)).await.unwrap();
    assert_eq!(world.deliveries(run.job).await.unwrap(), before);
    assert_eq!(world.due_deliveries(at(9), 10, &Busy::default()).await.unwrap().next_at, None);
}

#[tokio::test]
async fn a_callback_can_be_a_url() {
    let world = World::new().await;
    let callback = Some("https://example.org/hook?a=b".parse().unwrap());
    let run = world.running(NewJob { callback: callback.clone(), ..new_job() }).await;
    world.end(run, done(), at(1)).await;
    assert_eq!(Some(world.deliveries(run.job).await.unwrap().remove(0).target), callback);
}

#[tokio::test]
async fn an_outcome_of_a_delivery_whose_turn_has_not_come_changes_nothing() {
    let world = World::new().await;
    let (run, deliveries) = three_for_one_target(&world).await;
    world.rung().await;
    world.record_delivery(deliveries[1].id, DeliveryOutcome::Delivered, at(2)).await.unwrap();
    assert_eq!(world.deliveries(run.job).await.unwrap(), deliveries);
    assert_eq!(world.rung().await, []);
    assert_eq!(due(&world, 3).await, ["first"]);
}
