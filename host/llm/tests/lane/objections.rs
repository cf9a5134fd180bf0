//! Calls that Ollama would refuse.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use roughneck_jobs::{
    model::Health,
    ports::{gateway::CallRoute, llm::Llm as _},
};
use roughneck_llm::Config;
use roughneck_testkit::ollama;
use serde_json::{Value, json};

use crate::{
    gateway::{chat, header, text},
    stage::{QWEN, Stage, call, failed},
};

const EMBEDDER: &str = "nomic-embed-text";

#[tokio::test]
async fn what_ollama_would_refuse_costs_neither_a_turn_nor_a_load() {
    let stage = Stage::new().await;
    let with = |mut body: Value, field: &str, value: Value| {
        body.as_object_mut().unwrap().insert(field.to_owned(), value);
        body
    };
    for (route, body) in [
        (CallRoute::Chat, chat(EMBEDDER, true)),
        (CallRoute::Generate, json!({"model": EMBEDDER, "prompt": "hello"})),
        (CallRoute::Chat, with(chat("llama3.2:3b", false), "think", json!(true))),
        (CallRoute::Chat, with(chat(QWEN, true), "top_logprobs", json!(50))),
        (CallRoute::Embed, json!({"model": EMBEDDER, "input": 7})),
        (CallRoute::ChatCompletions, json!({"model": QWEN, "messages": []})),
        (CallRoute::OpenAiEmbeddings, json!({"model": EMBEDDER, "input": []})),
        (CallRoute::Chat, chat("a b", true)),
        (CallRoute::Completions, json!({"model": "a b", "prompt": "hello"})),
        (CallRoute::Embed, json!({"model": "qwen3:4b:local:cloud", "input": "hello"})),
    ] {
        let (reply, visitor) = stage.send(route, &body).await;
        assert_eq!((reply.status, header(&reply, "retry-after")), (400, None));
        let (status, words) = stage.direct(route.path(), &body).await;
        assert_eq!((status, text(reply).await.as_str()), (400, words.trim_end()));
        assert!(visitor.ended().is_empty(), "there was no job yet");
        // That one was of the client that talks to Ollama itself.
        let (sent, body) = (stage.bodies(route.path()), body.to_string());
        assert_eq!(sent.iter().filter(|one| **one == body).count(), 1);
    }
    let unlimited = json!({"model": QWEN, "messages": [{"role": "user", "content": "x"}]});
    let (reply, _) = stage.send(CallRoute::Messages, &unlimited).await;
    assert_eq!(reply.status, 400);
    assert!(text(reply).await.contains("max_tokens is required and must be positive"));
    assert!(stage.ollama.loads().is_empty());
    let rejected = r#"roughneck_requests_total{outcome="rejected"}"#;
    assert_eq!(stage.metric(rejected), Some(11.0));
}

#[tokio::test]
async fn a_model_that_can_not_is_looked_at_again_first() {
    let stage = Stage::new().await;
    let looks = stage.bodies("/api/tags").len();
    stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    assert_eq!(stage.bodies("/api/tags").len(), looks);
    stage.send(CallRoute::Chat, &chat(EMBEDDER, false)).await;
    assert_eq!(stage.bodies("/api/tags").len(), looks + 1);
}

#[tokio::test]
async fn however_many_are_refused_ollama_is_looked_at_once_a_second() {
    let stage = Stage::new().await;
    let (began_at, looks) = (Instant::now(), stage.bodies("/api/tags").len());
    let refused = async |model, status| {
        let (reply, _) = stage.send(CallRoute::Chat, &chat(model, false)).await;
        assert_eq!(reply.status, status);
    };
    let in_loop = async |model, status| {
        for _ in 0..2 {
            refused(model, status).await;
        }
    };
    let clients = (0..5).flat_map(|_| [in_loop("nope", 404), in_loop(EMBEDDER, 400)]);
    join_all(clients).await;
    let (seconds, looks) = (began_at.elapsed().as_secs(), stage.bodies("/api/tags").len() - looks);
    assert!((2..=1 + seconds).contains(&(looks as u64)), "{looks} looks in {seconds} s");
}

#[tokio::test]
async fn a_plugin_that_asks_for_what_is_not_there_has_it_looked_for_once() {
    let stage = Stage::new().await;
    let looks = stage.bodies("/api/tags").len();
    failed(stage.ask(call("nope")).await);
    // Meanwhile another look would have been.
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(stage.bodies("/api/tags").len(), looks + 1);
}

#[tokio::test]
async fn however_many_plugins_ask_at_once_they_share_their_looks() {
    let impatient = |config: &mut Config| config.question_timeout = Duration::from_millis(200);
    let stage = Stage::with(ollama::Config::instant(), impatient).await;
    let all = async |code| {
        let looks = stage.bodies("/api/version").len();
        for asked in join_all((0..64).map(|_| stage.ask(call("nope")))).await {
            assert_eq!(failed(asked).code(), code);
        }
        stage.bodies("/api/version").len() - looks
    };
    // The first looks at once; those who come while it does wait for the next look.
    assert_eq!(all("model-not-installed").await, 2);
    stage.ollama.faults().hang(true);
    assert!(matches!(stage.lane.look().await, Health::Down { .. }));
    let looks = all("ollama-unavailable").await;
    assert!(looks <= 3, "the host has looked by itself once at most: {looks}");
}

#[tokio::test]
async fn what_no_model_can_be_called_is_not_looked_for() {
    let stage = Stage::new().await;
    let looks = stage.bodies("/api/tags").len();
    let (refused, _) = stage.send(CallRoute::Chat, &chat("a b", false)).await;
    assert_eq!(
        (refused.status, text(refused).await.as_str()),
        (400, r#"{"error":"invalid model name"}"#)
    );
    let error = failed(stage.ask(call("a b")).await);
    assert_eq!((error.code(), error.is_retryable()), ("invalid-request", false));
    assert_eq!(stage.lane.resolve("a b").await.unwrap_err(), error);
    assert_eq!(stage.bodies("/api/tags").len(), looks);
    let named = |config: &mut Config| {
        config.aliases.insert("my favourite".to_owned(), QWEN.to_owned());
    };
    let stage = Stage::with(ollama::Config::instant(), named).await;
    let (answered, _) = stage.send(CallRoute::Chat, &chat("My Favourite", false)).await;
    assert_eq!(answered.status, 200, "what the operator calls one is no name of a model");
}

#[tokio::test]
async fn who_finds_no_room_to_wait_for_a_second_look_is_told_what_is_known() {
    let one = |config: &mut Config| config.waiting_max = 1;
    let stage = Stage::with(ollama::Config::instant(), one).await;
    let refused = async |model| {
        let (reply, _) = stage.send(CallRoute::Chat, &chat(model, false)).await;
        reply.status
    };
    assert_eq!(refused("nope").await, 404);
    for (model, status) in [("nope", 404), (EMBEDDER, 400)] {
        let mut waits = pin!(refused(model));
        let hurried = tokio::select! {
            biased;
            _ = &mut waits => None,
            hurried = refused(model) => Some(hurried),
        };
        assert_eq!(hurried, Some(status), "{model}");
        assert_eq!(waits.await, status, "{model}");
    }
}
