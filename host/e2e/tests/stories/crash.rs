//! kill -9.

use std::time::Duration;

use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
    receiver::Receiver,
};
use serde_json::json;

use crate::host::{LIMIT, Setup};

#[tokio::test]
async fn a_job_whose_host_was_killed_runs_again_and_exactly_one_result_is_kept() {
    let mut config = Config::demo();
    for model in &mut config.models {
        model.load_time = Duration::from_millis(50);
        model.decode_tokens_per_s = Some(40.0);
    }
    let ollama = FakeOllama::start(config).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let setup = Setup::new(&ollama.url());

    let host = setup.start();
    let input = json!({ "text": "Rain fell for nine days. The bridge held. The mill did not." });
    let id = host
        .submit(&json!({ "kind": "summarize", "input": input, "callback": receiver.url() }))
        .await;
    // It is in the middle of the model's answer when it dies.
    host.events(&id, None).await.until(|event| event.name == "token").await;
    host.kill_9().await;
    assert!(receiver.deliveries().is_empty());

    let host = setup.start();
    let job = host.until(&id, "done").await;
    assert_eq!((&job["attempt"], &job["losses"]), (&json!(1), &json!(1)), "{job:#}");
    let outcomes: Vec<_> =
        job["attempts"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("lost"), json!("done")], "{job:#}");
    assert_eq!(host.metric("roughneck_runs_lost_total{cause=\"restart\"}").await, Some(1.0));
    receiver.wait_for(1, LIMIT).await.unwrap();
    let deliveries = job["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1, "{job:#}");
    let jobs = host.get("/jobs").await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs:#}");
    eventually("the delivery is recorded", LIMIT, async || {
        host.job(&id).await["deliveries"][0]["state"] == "delivered"
    })
    .await
    .unwrap();
    assert_eq!(receiver.deliveries().len(), 1);
}

#[tokio::test]
async fn nothing_that_was_accepted_is_lost_by_a_kill() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let mut ids = Vec::new();
    for round in 0..3 {
        let host = setup.start();
        for n in 0..20 {
            let input = json!({ "round": round, "n": n });
            ids.push(host.submit(&json!({ "kind": "echo", "input": input })).await);
        }
        host.kill_9().await;
    }
    let host = setup.start();
    for id in &ids {
        host.until(id, "done").await;
    }
    assert_eq!(ids.len(), 60);
}
