use std::time::Duration;

use roughneck_testkit::eventually;
use roughneck_testkit::ollama::{Config, FakeOllama, Load, LoadOutcome, Model, Reply};
use serde_json::{Value, json};

use crate::client::{DEADLINE, get, instant, post, post_json};

const QWEN: &str = "qwen3:4b";
const LLAMA: &str = "llama3.2:3b";

fn ask(model: &str) -> Value {
    json!({"model": model, "prompt": "Hi", "stream": false})
}

fn loaded(model: &str, context_length: u64) -> Load {
    Load { model: model.to_owned(), context_length, outcome: LoadOutcome::Loaded }
}

/// A request in the background. Aborting it closes its connection.
fn in_background(
    ollama: &std::sync::Arc<FakeOllama>,
    body: Value,
) -> tokio::task::JoinHandle<Value> {
    let ollama = std::sync::Arc::clone(ollama);
    tokio::spawn(async move { post_json(&ollama, "/api/generate", &body).await })
}

async fn arrived(ollama: &FakeOllama, count: usize) {
    let what = format!("{count} requests have arrived");
    eventually(&what, DEADLINE, async || ollama.log().len() >= count).await.unwrap();
}

#[tokio::test]
async fn another_model_or_context_reloads_and_the_same_weights_do_not() {
    let mut config = Config::instant();
    config.models.push(config.models[0].alias("work:latest"));
    let ollama = FakeOllama::start(config).await.unwrap();
    post(&ollama, "/api/generate", &ask(QWEN)).await;
    post(&ollama, "/api/generate", &ask("work")).await;
    post(&ollama, "/api/generate", &ask(LLAMA)).await;
    let mut wide = ask(LLAMA);
    wide["options"] = json!({"num_ctx": 8192, "temperature": 0.5});
    post(&ollama, "/api/generate", &wide).await;
    post(&ollama, "/api/generate", &wide).await;
    post(&ollama, "/api/generate", &ask(LLAMA)).await;
    let expected =
        [loaded(QWEN, 4096), loaded(LLAMA, 4096), loaded(LLAMA, 8192), loaded(LLAMA, 4096)];
    assert_eq!(ollama.loads(), expected);
    assert_eq!(ollama.in_flight_max(), 1);
}

#[tokio::test]
async fn a_context_that_must_not_shift_needs_a_runner_of_its_own() {
    let mut config = Config::instant();
    let unshifted = Model { family: "deepseek2".to_owned(), ..Model::chat("deepseek:latest") };
    config.models.push(unshifted);
    let ollama = FakeOllama::start(config).await.unwrap();
    let shifting = |model: &str, shift: bool| {
        let mut body = ask(model);
        body["shift"] = json!(shift);
        body
    };
    for (body, loads) in [
        (ask(QWEN), 1),
        (shifting(QWEN, true), 1),
        (shifting(QWEN, false), 2),
        (shifting(QWEN, false), 2),
        (ask(QWEN), 3),
        (ask("deepseek"), 4),
        (shifting("deepseek", false), 4),
        (shifting("deepseek", true), 5),
    ] {
        post(&ollama, "/api/generate", &body).await;
        assert_eq!(ollama.loads().len(), loads, "{body}");
    }
}

#[tokio::test]
async fn one_request_runs_at_a_time_and_a_client_that_leaves_frees_the_runner() {
    let ollama = std::sync::Arc::new(instant().await);
    ollama.script([Reply::Stall { after_tokens: 2 }]);
    let stalled = in_background(&ollama, ask(QWEN));
    eventually("two tokens are out", DEADLINE, async || {
        ollama.log().first().is_some_and(|entry| entry.tokens == 2)
    })
    .await
    .unwrap();
    let waiting = in_background(&ollama, ask(QWEN));
    arrived(&ollama, 2).await;
    let other_model = in_background(&ollama, ask(LLAMA));
    arrived(&ollama, 3).await;
    assert!(ollama.log().iter().all(|entry| entry.ended_at.is_none()));
    assert_eq!(ollama.in_flight_max(), 3);

    stalled.abort();
    assert_eq!(waiting.await.unwrap()["done"], true);
    assert_eq!(other_model.await.unwrap()["done"], true);
    let log = ollama.log();
    assert_eq!(log.iter().map(|entry| entry.client_left).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(log[0].tokens, 2);
    assert!(log[1].ended_at <= log[2].ended_at, "the other model waits for the runner");
    assert_eq!(ollama.loads(), [loaded(QWEN, 4096), loaded(LLAMA, 4096)]);
}

#[tokio::test]
async fn a_load_dies_with_the_client_that_caused_it() {
    let mut config = Config::instant();
    config.models.push(Model { load_time: Duration::from_secs(3600), ..Model::chat("slow:1b") });
    let ollama = std::sync::Arc::new(FakeOllama::start(config).await.unwrap());
    let impatient = in_background(&ollama, ask("slow:1b"));
    let outcome = |wanted: LoadOutcome| {
        let ollama = std::sync::Arc::clone(&ollama);
        async move || ollama.loads().first().is_some_and(|load| load.outcome == wanted)
    };
    eventually("it loads", DEADLINE, outcome(LoadOutcome::Loading)).await.unwrap();
    impatient.abort();
    eventually("the load is aborted", DEADLINE, outcome(LoadOutcome::Aborted)).await.unwrap();
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));
    assert_eq!(post_json(&ollama, "/api/generate", &ask(QWEN)).await["done"], true);
}

#[tokio::test]
async fn a_stream_stops_when_its_client_leaves() {
    let mut config = Config::instant();
    config.models[0].decode_tokens_per_s = Some(50.0);
    config.answer_words = 3000;
    let ollama = FakeOllama::start(config).await.unwrap();
    let body = json!({"model": QWEN, "prompt": "Hi"});
    let mut response = post(&ollama, "/api/generate", &body).await;
    response.chunk().await.unwrap().unwrap();
    drop(response);
    eventually("the client is seen to have left", DEADLINE, async || ollama.log()[0].client_left)
        .await
        .unwrap();
    let at_the_end = ollama.log()[0].tokens;
    assert!((1..1000).contains(&at_the_end), "{at_the_end} tokens");
    // The runner is free at once, and nobody generates on behind its back.
    assert_eq!(post_json(&ollama, "/api/generate", &ask(LLAMA)).await["done"], true);
    assert_eq!(ollama.log()[0].tokens, at_the_end);
}

#[tokio::test]
async fn a_model_is_unloaded_after_its_keep_alive() {
    let ollama = instant().await;
    let mut brief = ask(QWEN);
    brief["keep_alive"] = json!("20ms");
    post(&ollama, "/api/generate", &brief).await;
    eventually("it is unloaded", DEADLINE, async || {
        get(&ollama, "/api/ps").await == json!({"models": []})
    })
    .await
    .unwrap();
    brief["keep_alive"] = json!(0);
    post(&ollama, "/api/generate", &brief).await;
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));
}

#[tokio::test]
async fn an_unload_lets_the_running_request_finish() {
    let ollama = std::sync::Arc::new(instant().await);
    ollama.script([Reply::Stall { after_tokens: 0 }]);
    let stalled = in_background(&ollama, ask(QWEN));
    eventually("it is loaded", DEADLINE, async || ollama.loads() == [loaded(QWEN, 4096)])
        .await
        .unwrap();
    let unload = json!({"model": QWEN, "keep_alive": 0});
    assert_eq!(post_json(&ollama, "/api/generate", &unload).await["done_reason"], "unload");
    assert_eq!(get(&ollama, "/api/ps").await["models"][0]["name"], QWEN);
    stalled.abort();
    eventually("it is unloaded", DEADLINE, async || {
        get(&ollama, "/api/ps").await == json!({"models": []})
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn tokens_come_at_the_configured_rate() {
    let mut config = Config::instant();
    config.models[0].decode_tokens_per_s = Some(200.0);
    config.answer_words = 0;
    config.replies = vec![Reply::Text("a b c d e f g h i j k l m n o p q r s".to_owned())];
    let ollama = FakeOllama::start(config).await.unwrap();
    let answer = post_json(&ollama, "/api/generate", &ask(QWEN)).await;
    assert_eq!(answer["eval_count"], 20);
    // Twenty tokens take a tenth of a second; a busy machine may only be slower.
    assert!(answer["eval_duration"].as_u64().unwrap() >= 99_000_000, "{answer}");
}
