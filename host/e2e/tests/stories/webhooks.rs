//! Webhooks that cannot be lost.

use reqwest::StatusCode;
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
    receiver::{Receiver, verify},
};
use serde_json::json;

use crate::host::{LIMIT, Setup};

#[tokio::test]
async fn a_receiver_that_was_down_and_then_broken_still_gets_its_event_also_after_a_kill() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    receiver.stop_listening().await;
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let id = host
        .submit(&json!({ "kind": "echo", "input": { "a": 1 }, "callback": receiver.url() }))
        .await;
    host.until(&id, "done").await;
    eventually("an attempt failed", LIMIT, async || {
        host.job(&id).await["deliveries"][0]["attempts"].as_u64() >= Some(1)
    })
    .await
    .unwrap();
    host.kill_9().await;

    receiver.respond_with(StatusCode::INTERNAL_SERVER_ERROR);
    receiver.listen_again().await.unwrap();
    let host = setup.start();
    receiver.wait_for(1, LIMIT).await.unwrap();
    receiver.respond_with(StatusCode::NO_CONTENT);
    let all = receiver.wait_for(2, LIMIT).await.unwrap();
    let last = all.last().unwrap();
    verify(&setup.secret(), &last.headers, &last.body).unwrap();
    assert!(all.iter().all(|one| one.headers["webhook-id"] == last.headers["webhook-id"]));
    eventually("it is recorded as delivered", LIMIT, async || {
        host.job(&id).await["deliveries"][0]["state"] == "delivered"
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_private_address_is_refused_unless_the_operator_allows_it() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let setup = Setup::new(&ollama.url()).config("allow-private = true", "allow-private = false");
    let host = setup.start();
    // An address would be refused at once: what a name leads to is known when it is called.
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let id = host.submit(&json!({ "kind": "echo", "callback": url })).await;
    host.until(&id, "done").await;
    eventually("the refusal is told", LIMIT, async || {
        let error = host.job(&id).await["deliveries"][0]["last_error"].clone();
        error.as_str().is_some_and(|error| error.contains("allow-private"))
    })
    .await
    .unwrap();
    assert!(receiver.deliveries().is_empty());
}

#[tokio::test]
async fn a_site_is_watched_and_its_change_is_told_to_the_operator_s_target() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let (site, alerts) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    let target =
        format!("\n[callbacks.targets.alerts]\nurl = \"{}\"\nallow-private = true\n", alerts.url());
    let setup = Setup::new(&ollama.url()).more_config(&target);
    let host = setup.start();
    site.respond_with(StatusCode::OK);
    let look = json!({ "kind": "site-health", "input": { "url": site.url() } });

    let output = async || {
        let id = host.submit(&look).await;
        host.until(&id, "done").await["output"].clone()
    };
    let first = output().await;
    assert_eq!((&first["up"], &first["changed"]), (&json!(true), &json!(false)), "{first}");
    site.stop_listening().await;
    let down = output().await;
    assert_eq!((&down["up"], &down["changed"]), (&json!(false), &json!(true)), "{down}");
    let still = output().await;
    assert_eq!((&still["up"], &still["changed"]), (&json!(false), &json!(false)), "{still}");

    let told = alerts.wait_for(1, LIMIT).await.unwrap();
    let event: serde_json::Value = serde_json::from_slice(&told[0].body).unwrap();
    assert_eq!(event["type"], "site.changed", "{event}");
    verify(&setup.secret(), &told[0].headers, &told[0].body).unwrap();
    site.listen_again().await.unwrap();
    let back = output().await;
    assert_eq!((&back["up"], &back["changed"]), (&json!(true), &json!(true)), "{back}");
    alerts.wait_for(2, LIMIT).await.unwrap();
}
