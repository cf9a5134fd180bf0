//! Calls that would leave the machine.

use reqwest::Method;
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Model, Reply},
};
use serde_json::{Value, json};

use crate::{
    client::http,
    host::{Host, LIMIT, Setup},
};

const ELSEWHERE: &str = "huge:120b-cloud";

/// An Ollama that would pass on whatever it is asked.
async fn willing() -> FakeOllama {
    let mut config = Config::instant();
    config.models.push(Model::stub(ELSEWHERE, "huge:120b"));
    config.cloud = Some(vec![Model { decode_tokens_per_s: None, ..Model::chat("huge:120b") }]);
    FakeOllama::start(config).await.unwrap()
}

fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] })
}

async fn ask(host: &Host, model: &str) -> reqwest::Response {
    let request = http().post(format!("{}/api/chat", host.url));
    request.body(question(model).to_string()).send().await.unwrap()
}

#[tokio::test]
async fn nothing_leaves_the_machine_unless_the_operator_says_so() {
    let ollama = willing().await;
    let host = Setup::new(&ollama.url()).start();
    let refused = ask(&host, ELSEWHERE).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["x-roughneck-code"], "cloud-disabled");
    let words = refused.text().await.unwrap();
    assert!(words.starts_with(r#"{"error":"ollama cloud is disabled: "#), "{words}");
    let input = json!({ "path": "/api/chat", "body": question(ELSEWHERE) });
    let search =
        json!({ "model": "qwen3:4b", "input": "hello", "tools": [{ "type": "web_search" }] });
    let search = json!({ "path": "/v1/responses", "body": search });
    for job in [
        question(ELSEWHERE),
        json!({ "kind": "ollama.call", "input": input }),
        json!({ "kind": "ollama.call", "input": search }),
    ] {
        let (status, problem) = host.send(Method::POST, "/jobs", &job.to_string()).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &"cloud-disabled".into()));
    }
    assert!(ollama.log().iter().all(|request| request.path != "/api/chat"));
}

#[tokio::test]
async fn a_job_whose_model_moves_while_it_waits_says_so_and_is_done_where_it_is_now() {
    let ollama = willing().await;
    let host = Setup::new(&ollama.url()).more_config("\n[ollama]\ncloud = true\n").start();
    ollama.script([Reply::Stall { after_tokens: 1 }]);
    let held = ask(&host, "qwen3:4b").await;
    let moves = question("llama3.2:3b").to_string();
    let (_, accepted) = host.send(Method::POST, "/jobs", &moves).await;
    let waits =
        async || host.metric("roughneck_queue_depth{priority=\"normal\"}").await == Some(1.0);
    eventually("the job waits in the lane", LIMIT, waits).await.unwrap();
    let copy = json!({ "source": ELSEWHERE, "destination": "llama3.2:3b" });
    let copied = http().post(format!("{}/api/copy", ollama.url())).body(copy.to_string());
    assert_eq!(copied.send().await.unwrap().status(), 200);
    // Whoever asks for what is not there has the host look again.
    assert_eq!(ask(&host, "nope").await.status(), 404);
    drop(held);
    let id = accepted["job_id"].as_str().unwrap();
    let postponed = host.until(id, "scheduled").await;
    assert_eq!(postponed["error"]["code"], "model-moved");
    let done = host.until(id, "done").await;
    assert_eq!((&done["attempt"], &done["class"]), (&1.into(), &"ollama".into()));
    assert!(done["output"]["remote_model"].is_string(), "{done}");
}

#[tokio::test]
async fn what_may_leave_goes_while_the_lane_is_held() {
    let ollama = willing().await;
    let host = Setup::new(&ollama.url()).more_config("\n[ollama]\ncloud = true\n").start();
    ollama.script([Reply::Stall { after_tokens: 1 }]);
    let held = ask(&host, "qwen3:4b").await;
    assert_eq!(held.status(), 200);
    let answer = ask(&host, ELSEWHERE).await.text().await.unwrap();
    assert!(answer.contains(r#""done":true"#), "{answer}");
    // A job of it holds no slot of the GPU either.
    let question = question(ELSEWHERE).to_string();
    let (status, accepted) = host.send(Method::POST, "/jobs", &question).await;
    assert_eq!(status, 202, "{accepted}");
    let job = host.until(accepted["job_id"].as_str().unwrap(), "done").await;
    assert_eq!(job["class"], "io");
    assert!(job["output"]["message"]["content"].as_str().unwrap().starts_with("[simulated]"));
    assert_eq!(ollama.loads().len(), 1);
    drop(held);
}
