//! Clients that want a model unloaded.

use std::{sync::atomic::Ordering, time::Duration};

use roughneck_jobs::ports::{gateway::CallRoute, llm::Llm as _};
use roughneck_llm::Config;
use roughneck_testkit::{eventually, ollama};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    gateway::{chat, header, text},
    stage::{QWEN, SOON, Stage},
};

const LLAMA: &str = "llama3.2:3b";

fn unload(model: &str) -> Value {
    json!({"model": model, "keep_alive": 0})
}

/// Returns whether it was kept.
async fn is_told_so(stage: &Stage, body: &Value) -> bool {
    let (reply, visitor) = stage.send(CallRoute::Generate, body).await;
    let is_kept = header(&reply, "x-roughneck-kept") == Some("true");
    assert_eq!(reply.status, 200);
    assert!(header(&reply, "content-type").is_some_and(|kind| kind.contains("/json")));
    let said: Value = serde_json::from_str(&text(reply).await).unwrap();
    assert_eq!(said.get("model"), body.get("model"));
    assert_eq!(said.get("done_reason"), Some(&json!("unload")));
    assert_eq!(visitor.ended(), [r#"{"status":200,"done_reason":"unload"}"#]);
    is_kept
}

#[tokio::test]
async fn one_that_nobody_wants_does_not_wait_for_a_call_of_another_model() {
    let full = |config: &mut Config| config.waiting_max = 0;
    let stage = Stage::with(ollama::Config::instant(), full).await;
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let body = unload(LLAMA);
    assert!(!is_told_so(&stage, &body).await);
    assert_eq!(stage.bodies("/api/generate").last(), Some(&body.to_string()));
    drop(running);
}

#[tokio::test]
async fn one_that_somebody_waits_for_is_neither_unloaded_nor_loaded_for_it() {
    let stage = Stage::new().await;
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let asked = stage.bodies("/api/generate");
    let waits = chat(LLAMA, false);
    let waits = stage.send(CallRoute::Chat, &waits);
    tokio::pin!(waits);
    assert!(futures_util::poll!(&mut waits).is_pending());
    assert!(is_told_so(&stage, &unload(LLAMA)).await);
    assert_eq!(stage.bodies("/api/generate"), asked);
    drop(running);
    assert_eq!(waits.await.0.status, 200);
}

#[tokio::test]
async fn whoever_asks_next_has_it_loaded_by_the_host() {
    let stage = Stage::unwatched().await;
    for loads in 1..=2 {
        stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
        let asked = stage.bodies("/api/generate");
        assert_eq!(asked.iter().filter(|body| !body.contains("keep_alive")).count(), loads);
        assert!(!is_told_so(&stage, &unload(QWEN)).await);
    }
}

#[tokio::test]
async fn an_ollama_that_refuses_it_is_heard() {
    let stage = Stage::new().await;
    stage.ollama.faults().refuse(true);
    let (reply, visitor) = stage.send(CallRoute::Generate, &unload(QWEN)).await;
    assert_eq!(reply.status, 503);
    assert!(text(reply).await.contains("busy"));
    assert_eq!(visitor.ended(), ["ollama-refused"]);
}

fn wait_for(stage: &Stage, model: &str) {
    stage.witness.backlog.lock().unwrap().insert(model.to_owned());
}

#[tokio::test]
async fn one_that_queued_jobs_wait_for_by_an_alias_is_kept() {
    let stage = Stage::new().await;
    wait_for(&stage, "fast");
    assert!(is_told_so(&stage, &unload(LLAMA)).await);
    assert!(stage.bodies("/api/generate").is_empty());
    let mut asks = chat(LLAMA, false);
    asks["keep_alive"] = json!(0);
    stage.send(CallRoute::Chat, &asks).await;
    let mut others = chat(QWEN, false);
    others["keep_alive"] = json!(0);
    stage.send(CallRoute::Chat, &others).await;
    let kept: Vec<Value> = stage
        .bodies("/api/chat")
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["keep_alive"].clone())
        .collect();
    assert_eq!(kept, [json!("5m"), json!(0)]);
}

#[tokio::test]
async fn one_that_queued_jobs_wait_for_by_a_name_that_nobody_configured_is_kept() {
    let stage = Stage::new().await;
    let newest = stage.lane.resolve("default").await.unwrap().name;
    let other = if newest == QWEN { LLAMA } else { QWEN };
    wait_for(&stage, "default");
    assert!(is_told_so(&stage, &unload(&newest)).await);
    assert!(!is_told_so(&stage, &unload(other)).await);
    let embedder = "nomic-embed-text:latest";
    assert!(!is_told_so(&stage, &unload(embedder)).await);
    wait_for(&stage, "nomic-embed-text");
    assert!(is_told_so(&stage, &unload(embedder)).await);
}

#[tokio::test]
async fn what_has_come_for_it_while_a_call_waited_is_known_at_its_turn() {
    let stage = Stage::new().await;
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let mut asks = chat(LLAMA, false);
    asks["keep_alive"] = json!(0);
    let waits = stage.send(CallRoute::Chat, &asks);
    tokio::pin!(waits);
    assert!(futures_util::poll!(&mut waits).is_pending());
    wait_for(&stage, LLAMA);
    let was_asked = stage.witness.asked_for.load(Ordering::SeqCst);
    let asked_again = async {
        let again = async || stage.witness.asked_for.load(Ordering::SeqCst) > was_asked;
        eventually("the store is asked again", SOON, again).await.unwrap();
    };
    tokio::select! {
        _ = &mut waits => panic!("another call has the lane"),
        () = asked_again => {}
    }
    drop(running);
    waits.await;
    let sent: Value = serde_json::from_str(stage.bodies("/api/chat").last().unwrap()).unwrap();
    assert_eq!(sent["keep_alive"], "5m");
}

#[tokio::test]
async fn a_store_that_does_not_answer_keeps_nobody_waiting() {
    let stage = Stage::new().await;
    wait_for(&stage, QWEN);
    let _stuck = stage.witness.disk.lock().await;
    assert!(!is_told_so(&stage, &unload(QWEN)).await);
    assert_eq!(stage.bodies("/api/generate"), [unload(QWEN).to_string()]);
}

#[tokio::test]
async fn a_call_that_unloads_its_model_does_so_however_it_ends() {
    let stage = Stage::unwatched().await;
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let mut asks = chat(QWEN, true);
    asks["keep_alive"] = json!(0);
    let (left, _) = stage.send(CallRoute::Chat, &asks).await;
    drop(left);
    let url = format!("{}/api/ps", stage.ollama.url());
    let is_gone = async || !reqwest::get(&url).await.unwrap().text().await.unwrap().contains(QWEN);
    eventually("Ollama has let go of it", SOON, is_gone).await.unwrap();
    stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    assert_eq!(stage.bodies("/api/generate").len(), 2, "the host has it loaded again");
}

#[tokio::test]
async fn an_ollama_that_says_nothing_to_it_keeps_the_lane_for_no_longer_than_a_small_question() {
    let quick = |config: &mut Config| config.question_timeout = Duration::from_millis(200);
    let stage = Stage::with(ollama::Config::instant(), quick).await;
    stage.ollama.faults().mute(true);
    let body = unload(QWEN);
    let (reply, _) = timeout(SOON, stage.send(CallRoute::Generate, &body)).await.unwrap();
    assert_eq!(reply.status, 502);
    assert_eq!(text(reply).await, r#"{"error":"Ollama sent nothing of its answer for 200ms"}"#);
}
