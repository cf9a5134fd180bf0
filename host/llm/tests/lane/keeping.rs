//! How long models stay loaded after calls that cannot say so.

use std::time::Duration;

use roughneck_jobs::ports::gateway::CallRoute;
use roughneck_llm::Config;
use roughneck_testkit::{eventually, ollama};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    gateway::{chat, text},
    stage::{QWEN, SOON, Stage},
};

async fn stage() -> Stage {
    let keeps = |config: &mut Config| config.keep_alive = Some("10m".to_owned());
    Stage::with(ollama::Config::instant(), keeps).await
}

#[tokio::test]
async fn ollama_is_told_how_long_once_nobody_asks_for_anything() {
    let stage = stage().await;
    let embeds = json!({"model": "nomic-embed-text", "input": "x"});
    for (route, body, loads, path) in [
        (CallRoute::ChatCompletions, chat(QWEN, true), 1, "/api/generate"),
        (CallRoute::ChatCompletions, chat(QWEN, false), 1, "/api/generate"),
        (CallRoute::OpenAiEmbeddings, embeds, 2, "/api/embed"),
    ] {
        let before = stage.bodies(path).len();
        let (reply, _) = stage.send(route, &body).await;
        text(reply).await;
        // Of which one may be the load before the call.
        let is_first = usize::from(stage.bodies(path).len() > before);
        let told = async || stage.bodies(path).len() == before + is_first + 1;
        eventually("Ollama is told", SOON, told).await.unwrap();
        assert!(stage.bodies(path).last().unwrap().contains(r#""keep_alive":"10m""#));
        assert_eq!(stage.ollama.loads().len(), loads);
    }
}

#[tokio::test]
async fn nobody_says_it_for_whoever_has_the_turn_next() {
    let (busy, idle) = (stage().await, stage().await);
    let replies = [ollama::Reply::Text("hi".to_owned()), ollama::Reply::Stall { after_tokens: 1 }];
    busy.ollama.script(replies);
    let (first, _) = busy.send(CallRoute::ChatCompletions, &chat(QWEN, true)).await;
    let next = chat(QWEN, true);
    let next = busy.send(CallRoute::Chat, &next);
    tokio::pin!(next);
    assert!(futures_util::poll!(&mut next).is_pending());
    text(first).await;
    let (_holds_the_lane, _) = next.await;
    let asked = busy.bodies("/api/generate");
    // Of another host, whose call is over later, Ollama is told.
    let (reply, _) = idle.send(CallRoute::ChatCompletions, &chat(QWEN, true)).await;
    text(reply).await;
    let told = async || idle.bodies("/api/generate").len() == 2;
    eventually("Ollama is told", SOON, told).await.unwrap();
    assert_eq!(busy.bodies("/api/generate"), asked);
}

#[tokio::test]
async fn a_model_that_is_gone_is_not_loaded_to_be_kept() {
    let watched = |config: &mut Config| {
        config.keep_alive = Some("10m".to_owned());
        config.look_every = Duration::from_millis(20);
        config.poll_every = Duration::from_millis(20);
    };
    let stage = Stage::with(ollama::Config::instant(), watched).await;
    let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat(QWEN, true)).await;
    text(reply).await;
    stage.direct("/api/generate", &json!({"model": QWEN, "keep_alive": 0})).await;
    let over_at = Instant::now() + Duration::from_millis(1500);
    let is_over = async || Instant::now() >= over_at;
    eventually("Ollama would have been told", SOON, is_over).await.unwrap();
    assert_eq!(stage.ollama.loads().len(), 1);
}
