//! A host that is full.

use reqwest::{Method, StatusCode};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};
use serde_json::{Value, json};

use crate::{
    client::{http, in_300_days},
    host::{Host, LIMIT, Setup},
};

async fn refusal(host: &Host) -> (StatusCode, String, Value) {
    let body = json!({ "kind": "echo" }).to_string();
    let response = http().post(format!("{}/jobs", host.url)).body(body).send().await.unwrap();
    let retry_after = response.headers()["retry-after"].to_str().unwrap().to_owned();
    (response.status(), retry_after, response.json().await.unwrap())
}

#[tokio::test]
async fn a_host_with_enough_jobs_refuses_more_until_some_have_ended() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url()).config("[intake]", "[intake]\njobs-max = 3");
    let host = setup.start();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(host.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await);
    }
    let (status, retry_after, problem) = refusal(&host).await;
    assert_eq!((status, retry_after.as_str()), (StatusCode::TOO_MANY_REQUESTS, "10"));
    assert_eq!(problem["code"], "queue-full", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("`jobs-max` under [intake] is 3"));
    let (status, ready) = host.send(Method::GET, "/readyz", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{ready}");
    let again = json!({ "kind": "echo", "id": ids[0] }).to_string();
    let (status, answer) = host.send(Method::POST, "/jobs", &again).await;
    assert_eq!((status, &answer["id"]), (StatusCode::OK, &json!(ids[0])));

    // The count of a host that starts is that of the one before.
    host.kill_9().await;
    let host = setup.start();
    assert_eq!(refusal(&host).await.0, StatusCode::TOO_MANY_REQUESTS);
    let refused = host.metric("roughneck_store_refused_jobs_total{mark=\"jobs\"}").await;
    assert_eq!(refused, Some(1.0));
    let (status, _) = host.send(Method::DELETE, &format!("/jobs/{}", ids[1]), "").await;
    assert_eq!(status, StatusCode::OK);
    let id = host.submit(&json!({ "kind": "echo" })).await;
    host.until(&id, "done").await;
    host.get("/readyz").await;
}

#[tokio::test]
async fn a_host_whose_disk_has_too_little_room_starts_says_so_and_takes_no_jobs() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let id = host.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await;
    host.kill_9().await;
    let setup = setup.config("\"0B\"", "\"1000PiB\"");
    let host = setup.start();
    assert!(setup.log().contains("no new jobs are taken: the disk of the data folder has"));
    let (status, retry_after, problem) = refusal(&host).await;
    assert_eq!((status, retry_after.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "60"));
    assert_eq!(problem["code"], "disk-full", "{problem}");
    let (status, _) = host.send(Method::DELETE, &format!("/jobs/{id}"), "").await;
    assert_eq!(status, StatusCode::OK);
    eventually("the use of the disk is told", LIMIT, async || {
        host.metric("roughneck_store_mark_use_ratio{mark=\"disk\"}").await.unwrap() > 1.0
    })
    .await
    .unwrap();
}
