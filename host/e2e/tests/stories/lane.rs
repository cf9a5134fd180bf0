//! One Ollama, one call at a time.

use reqwest::{Method, StatusCode};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Reply},
};
use serde_json::{Value, json};

use crate::{
    client::{data, http},
    host::{LIMIT, Setup},
};

#[tokio::test]
async fn calls_of_every_class_go_through_the_lane_one_at_a_time() {
    let mut config = Config::demo();
    for model in &mut config.models {
        model.load_time = std::time::Duration::from_millis(20);
        model.decode_tokens_per_s = Some(400.0);
    }
    let ollama = FakeOllama::start(config).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let mut ids = Vec::new();
    for n in 0..4 {
        // The fixture's kind is of the class `cpu`, which has four slots.
        ids.push(
            host.submit(&json!({ "kind": "llm", "input": { "prompt": format!("tell me {n}") } }))
                .await,
        );
        ids.push(host.submit(&json!({ "kind": "summarize", "input": { "text": format!("It rained {n} days.") } })).await);
    }
    for id in &ids {
        host.until(id, "done").await;
    }
    assert_eq!(ollama.in_flight_max(), 1);
}

#[tokio::test]
async fn a_job_waits_for_an_ollama_that_is_down_and_burns_no_attempt() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.stop_listening().await;
    let host = Setup::new(&ollama.url()).start();
    eventually("the host is degraded", LIMIT, async || {
        host.get("/healthz").await["status"] == "degraded"
    })
    .await
    .unwrap();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
    // Other classes go on.
    let other = host.submit(&json!({ "kind": "echo", "input": 1 })).await;
    host.until(&other, "done").await;
    let job = host.job(&id).await;
    assert_ne!(job["state"], "done");
    assert!(job["reason"].as_str().unwrap().contains("Ollama"), "{job:#}");

    ollama.listen_again().await.unwrap();
    let job = host.until(&id, "done").await;
    assert_eq!(job["attempt"], 1, "{job:#}");
    assert_eq!(host.get("/healthz").await["status"], "ok");
}

#[tokio::test]
async fn an_ollama_that_fails_again_and_again_rests_while_jobs_wait_and_is_tried_again() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    ollama.faults().fail_next(u32::MAX);
    let rain = json!({ "kind": "summarize", "input": { "text": "It rained." } });
    let mut failing = Vec::new();
    for _ in 0..3 {
        failing.push(host.submit(&rain).await);
    }
    eventually("the host is degraded", LIMIT, async || {
        host.get("/healthz").await["status"] == "degraded"
    })
    .await
    .unwrap();
    let why = "3 calls in a row have failed, the last one: status 500: llama runner process";
    let doctor = ["doctor", "--json", "--url", &host.url];
    let doctor = tokio::process::Command::from(setup.about(&doctor)).output().await.unwrap();
    let page = String::from_utf8(doctor.stdout).unwrap();
    assert!(!doctor.status.success() && page.contains(why), "{page}");
    let waiting = host.submit(&rain).await;
    let reason = host.job(&waiting).await["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("waits for Ollama") && reason.contains(why), "{reason}");

    ollama.faults().fail_next(0);
    assert_eq!(host.until(&waiting, "done").await["attempt"], 1, "waiting burns no attempt");
    for id in &failing {
        host.until(id, "done").await;
    }
    assert_eq!(host.get("/healthz").await["status"], "ok");
}

#[tokio::test]
async fn an_ollama_that_dies_in_the_middle_of_an_answer_costs_no_job() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 3 }]);
    let host = Setup::new(&ollama.url()).start();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
    host.events(&id, None).await.until(|event| event.name == "token").await;
    ollama.stop_listening().await;
    eventually("the run ended", LIMIT, async || host.job(&id).await["state"] == "scheduled")
        .await
        .unwrap();
    ollama.listen_again().await.unwrap();
    host.until(&id, "done").await;
}

#[tokio::test]
async fn cancelling_reaches_into_a_model_call() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 2 }]);
    let host = Setup::new(&ollama.url()).start();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
    host.events(&id, None).await.until(|event| event.name == "token").await;
    let (status, job) = host.send(Method::DELETE, &format!("/jobs/{id}"), "").await;
    assert_eq!((status, &job["state"]), (StatusCode::OK, &json!("cancelled")));
    eventually("Ollama sees the client leave", LIMIT, async || {
        ollama.log().iter().any(|one| one.client_left)
    })
    .await
    .unwrap();
    // The lane is free for the next one.
    let next =
        host.submit(&json!({ "kind": "summarize", "input": { "text": "It snowed." } })).await;
    host.until(&next, "done").await;
    assert_eq!(host.job(&id).await["state"], "cancelled");
    let (status, problem) = host.send(Method::DELETE, &format!("/jobs/{id}"), "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already-ended")));
}

#[tokio::test]
async fn a_bulk_job_gives_way_to_an_urgent_client_and_burns_no_attempt() {
    let mut simulated = Config::instant();
    for model in &mut simulated.models {
        // Long enough to be learnt as the cost of a swap: a dear one would not be made for one call so soon.
        model.load_time = std::time::Duration::from_millis(150);
    }
    let ollama = FakeOllama::start(simulated).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 3 }, Reply::Text("It is seven.".to_owned())]);
    let host = Setup::new(&ollama.url()).more_config("\n[ollama]\npreempt = true\n").start();
    let bulk = json!({
        "kind": "llm",
        "priority": "bulk",
        "input": { "prompt": "tell me of the night" },
    });
    let id = host.submit(&bulk).await;
    host.events(&id, None).await.until(|event| event.name == "token").await;

    let question = json!({
        "model": "qwen3:4b",
        "messages": [{ "role": "user", "content": "What time is it?" }],
        "stream": false,
    });
    let request = http().post(format!("{}/api/chat", host.url));
    let request = request.header("x-roughneck-priority", "urgent").body(question.to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["message"]["content"], "It is seven.");

    let job = host.until(&id, "done").await;
    assert_eq!((&job["attempt"], &job["usage"]["calls"]), (&json!(1), &json!(1)), "{job:#}");
    assert!(job["usage"]["wasted_tokens"].as_u64().unwrap() >= 1, "{job:#}");
    let told = host.events(&id, None).await.until(|event| event.name == "end").await;
    let waits = told.iter().map(data).find(|event| event["reason"].is_string()).unwrap();
    let why = "its call gave way to an urgent one and will be made anew";
    assert_eq!((&waits["state"], &waits["reason"]), (&json!("loading"), &json!(why)));
    // Its model is another one, which was loaded for the urgent call and unloaded again.
    let preemptions = host.metric("roughneck_preemptions_total{model=\"llama3.2:3b\"}").await;
    assert_eq!((preemptions, ollama.loads().len()), (Some(1.0), 3));
}
