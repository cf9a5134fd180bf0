//! Dead letters, and submissions that are repeated.

use reqwest::{Method, StatusCode};
use roughneck_testkit::ollama::{Config, FakeOllama, Reply};
use serde_json::json;

use crate::{client::http, host::Setup};

#[tokio::test]
async fn a_dead_letter_is_found_and_runs_again_once_its_cause_is_gone() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    // A request that Ollama refuses is nothing that another attempt would mend.
    ollama.script([Reply::Status(400, r#"{"error":"invalid model name"}"#.into())]);
    let host = Setup::new(&ollama.url()).start();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
    host.until(&id, "failed").await;
    let dead = host.get("/dead?kind=summarize").await;
    assert_eq!(dead["jobs"][0]["id"], json!(id), "{dead:#}");

    let (status, answer) = host.send(Method::POST, &format!("/jobs/{id}/retry"), "").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let job = host.until(&id, "done").await;
    assert_eq!(job["attempts"].as_array().unwrap().len(), 2, "{job:#}");
    assert_eq!(host.get("/dead").await["jobs"], json!([]));
    let (status, problem) = host.send(Method::POST, &format!("/jobs/{id}/retry"), "").await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
}

#[tokio::test]
async fn a_submission_repeated_with_its_key_is_one_job_also_after_a_kill() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let submit = async |host: &crate::host::Host, n: u32| {
        let body = json!({ "kind": "echo", "input": { "n": n } }).to_string();
        let request =
            http().post(format!("{}/jobs", host.url)).header("idempotency-key", "order-7");
        let response = request.body(body).send().await.unwrap();
        let status = response.status();
        let answer: serde_json::Value = response.json().await.unwrap();
        (status, answer)
    };
    let (status, first) = submit(&host, 1).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    host.kill_9().await;
    let host = setup.start();
    let (status, again) = submit(&host, 1).await;
    assert_eq!((status, &again["id"]), (StatusCode::OK, &first["id"]), "{again}");
    let (status, other) = submit(&host, 2).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{other}");
    assert_eq!(other["code"], "idempotency-key-reused");
}
