//! Webhooks.

use std::time::Duration;

use roughneck_jobs::{
    delivery::DeliveryState,
    ports::{courier::NotDelivered, outbox::Outbox as _},
    state::State,
};

use crate::world::{Act, World};

const TOLD: &str = r#"{"kind":"act","callback":"http://receiver/hook"}"#;

fn refusal() -> NotDelivered {
    NotDelivered::ForNow { message: "503".into(), retry_after_ms: None }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_was_down_gets_the_same_delivery_once_it_is_back() {
    let world = World::start([]).await;
    world.actors.receiver.lock().unwrap().extend(vec![refusal(); 6]);
    let id = world.submit(TOLD).await;
    world.until(id, State::Done).await;
    world.until_true("7 attempts", || world.actors.received.lock().unwrap().len() == 7).await;
    world.pass(Duration::from_secs(1)).await;
    let delivery = world.store.deliveries(id).await.unwrap().remove(0);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 7));
    let received = world.actors.received.lock().unwrap();
    assert!(received.iter().all(|one| one.id == delivery.id && one.event == "job.done"));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_for_good_is_not_asked_again() {
    let world = World::start([]).await;
    world.actors.receiver.lock().unwrap().push_back(NotDelivered::ForGood("410 Gone".into()));
    let id = world.submit(TOLD).await;
    world.until(id, State::Done).await;
    world.pass(Duration::from_secs(86_400)).await;
    assert_eq!(world.store.deliveries(id).await.unwrap()[0].state, DeliveryState::Dead);
    assert_eq!(world.actors.received.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_last_runs_left_is_sent_before_the_host_is_gone_although_no_bell_told_of_it() {
    let world = World::start([Act::Work(Duration::from_secs(5))]).await;
    world.engine.stop(Duration::ZERO).await;
    let engine = world.second_engine().await;
    let id = world.submit(TOLD).await;
    world.actors.begun.notified().await;
    engine.stop(Duration::from_secs(30)).await;
    assert_eq!(world.state(id), State::Done);
    assert_eq!(world.actors.received.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_store_makes_the_host_send_nothing_twice() {
    let world = World::start([]).await;
    world.store.bury_records(5);
    let id = world.submit(TOLD).await;
    world.until(id, State::Done).await;
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(world.actors.received.lock().unwrap().len(), 1);
    assert_eq!(world.store.deliveries(id).await.unwrap()[0].state, DeliveryState::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_answer_keeps_no_other_one_waiting() {
    let world = World::start([]).await;
    *world.actors.silent.lock().unwrap() = Some("http://silent/hook".parse().unwrap());
    for _ in 0..50 {
        let id = world.submit(r#"{"kind":"act","callback":"http://silent/hook"}"#).await;
        world.until(id, State::Done).await;
    }
    let id = world.submit(TOLD).await;
    world.until(id, State::Done).await;
    world.pass(Duration::from_secs(1)).await;
    let delivery = world.store.deliveries(id).await.unwrap().remove(0);
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let received = world.actors.received.lock().unwrap().len();
    assert_eq!(received, 9, "eight are under way to the silent one, and none twice");
}
