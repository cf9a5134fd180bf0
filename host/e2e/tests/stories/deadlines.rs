//! Jobs that are not over at their deadline.

use reqwest::{Method, StatusCode};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Reply},
};
use serde_json::json;

use crate::host::{LIMIT, Setup};

#[tokio::test]
async fn a_deadline_reaches_into_a_model_call_and_a_retry_has_none() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 2 }]);
    let host = Setup::new(&ollama.url()).start();
    let submit = ["job", "submit", "summarize", "--input", r#"{"text":"It rained."}"#];
    // Long enough for the call to begin on a busy machine.
    let submitted = host.cli(&[&submit[..], &["--deadline", "10s"]].concat()).await.exits(0);
    let id = submitted.out.trim().to_owned();
    // These wait behind it. What needs a job that is overdue fails with it, before its own time.
    let waits = json!({"jobs": [
        {"name": "first", "kind": "summarize", "input": {"text": "It snowed."}, "deadline": "3s"},
        {"name": "last", "kind": "echo", "needs": ["first"], "deadline": "1h"},
    ]});
    let (status, flow) = host.send(Method::POST, "/flows", &waits.to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{flow:#}");
    host.events(&id, None).await.until(|event| event.name == "token").await;

    host.cli(&["job", "wait", &id]).await.exits(3);
    let job = host.job(&id).await;
    assert_eq!(job["error"]["code"], "deadline-passed", "{job:#}");
    assert_eq!(job["attempt"], 1, "{job:#}");
    assert!(job["error"]["message"].as_str().unwrap().contains("at its deadline, 20"), "{job:#}");
    eventually("Ollama sees the client leave", LIMIT, async || {
        ollama.log().iter().any(|one| one.client_left)
    })
    .await
    .unwrap();
    let first = flow["jobs"]["first"].as_str().unwrap();
    let last = host.until(flow["jobs"]["last"].as_str().unwrap(), "failed").await;
    assert_eq!(last["error"]["code"], "dependency-failed", "{last:#}");
    let first = host.job(first).await;
    assert_eq!(first["error"]["code"], "deadline-passed", "{first:#}");
    assert_eq!(first["attempt"], 0, "the lane was not free: {first:#}");
    // The running one and the waiting one; what needs it failed for another reason.
    assert_eq!(host.metric("roughneck_deadlines_missed_total").await, Some(2.0));

    host.cli(&["job", "retry", &id]).await.exits(0);
    let job = host.until(&id, "done").await;
    assert_eq!(job["deadline"], json!(null), "{job:#}");
}

#[tokio::test]
async fn a_deadline_that_passes_while_the_host_is_down_is_kept() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let (status, _) = host.send(Method::POST, "/kinds/echo/pause", "").await;
    assert_eq!(status, StatusCode::OK);
    let id = host.submit(&json!({ "kind": "echo", "input": 1, "deadline": "1ms" })).await;
    host.kill_9().await;
    let host = setup.start();
    let job = host.until(&id, "failed").await;
    assert_eq!((&job["error"]["code"], &job["attempt"]), (&json!("deadline-passed"), &json!(0)));
}
