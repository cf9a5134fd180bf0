//! Misbehaving guests: each limit bites, and the host goes on.

use roughneck_testkit::ollama::{Config, FakeOllama};
use serde_json::json;

use crate::host::Setup;

#[tokio::test]
async fn each_limit_ends_its_job_with_its_own_code_and_the_host_goes_on() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let table = [
        ("spin", json!({}), "cpu-limit"),
        ("hog", json!({}), "out-of-memory"),
        ("trap", json!({}), "trapped"),
        ("big-output", json!({ "bytes": 2_000_000 }), "invalid-output"),
        ("bad-utf8-json", json!({}), "invalid-output"),
        ("fail-fatal", json!({ "code": "no-such-customer" }), "no-such-customer"),
    ];
    let mut ids = Vec::new();
    for (kind, input, _) in &table {
        ids.push(host.submit(&json!({ "kind": kind, "input": input })).await);
    }
    for (id, (kind, _, code)) in ids.iter().zip(&table) {
        let job = host.until(id, "failed").await;
        assert_eq!(job["error"]["code"], json!(code), "{kind}: {job:#}");
        assert!(!job["error"]["message"].as_str().unwrap().is_empty(), "{kind}");
    }
    let id = host.submit(&json!({ "kind": "echo", "input": { "still": "here" } })).await;
    assert_eq!(host.until(&id, "done").await["output"], json!({ "still": "here" }));
}
