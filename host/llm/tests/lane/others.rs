//! What Ollama has loaded, and who else uses it.

use std::time::Duration;

use roughneck_jobs::ports::gateway::CallRoute;
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Reply},
};
use serde_json::json;

use crate::{
    gateway::chat,
    stage::{QWEN, SOON, Stage, call, failed},
};

async fn attentive(simulated: ollama::Config) -> Stage {
    let often = |config: &mut Config| {
        config.look_every = Duration::from_millis(30);
        config.poll_every = Duration::from_millis(30);
    };
    Stage::with(simulated, often).await
}

impl Stage {
    fn external(&self, sign: &str) -> f64 {
        let series = format!(r#"roughneck_upstream_external_use_total{{sign="{sign}"}}"#);
        self.metric(&series).unwrap()
    }

    pub(crate) fn external_all(&self) -> f64 {
        ["model", "expiry", "wait", "full"].map(|sign| self.external(sign)).iter().sum()
    }

    async fn until_external(&self, sign: &str) {
        let found = async || self.external(sign) > 0.0;
        eventually(&format!("the sign `{sign}`"), SOON, found).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_loaded_is_told_as_long_as_it_is() {
    let stage = attentive(ollama::Config::instant()).await;
    assert_eq!(stage.metric(r#"roughneck_upstream_info{version="0.33.0"}"#), Some(1.0));
    let loaded = r#"roughneck_model_loaded{model="qwen3:4b",context_length="4096"}"#;
    assert_eq!(stage.metric(loaded), None);
    stage.ask(call(QWEN)).await.unwrap();
    stage.until_looked().await;
    for (series, value) in [
        (loaded, 1.0),
        (r#"roughneck_model_size_bytes{model="qwen3:4b"}"#, 2_497_293_931.0),
        (r#"roughneck_model_vram_bytes{model="qwen3:4b"}"#, 2_497_293_931.0),
    ] {
        assert_eq!(stage.metric(series), Some(value), "{series}");
    }
    let expires = r#"roughneck_model_expires_timestamp_seconds{model="qwen3:4b"}"#;
    assert!(stage.metric(expires).is_some_and(|at| at > 1.7e9));

    let unload = json!({"model": QWEN, "keep_alive": 0});
    stage.send(CallRoute::Generate, &unload).await;
    let gone = async || stage.metric(loaded).is_none() && stage.metric(expires).is_none();
    eventually("it is not told any more", SOON, gone).await.unwrap();
    stage.ollama.stop_listening().await;
    assert_eq!(stage.external_all(), 0.0);
}

#[tokio::test]
async fn what_the_host_does_itself_is_no_sign_of_others() {
    let stage = attentive(ollama::Config::instant()).await;
    for model in [QWEN, "fast", QWEN] {
        stage.ask(call(model)).await.unwrap();
        stage.until_looked_twice().await;
    }
    let embed = json!({"model": "nomic-embed-text", "input": "x"});
    stage.send(CallRoute::Embed, &embed).await;
    stage.until_looked_twice().await;
    for keep_alive in [json!("20m"), json!(-1)] {
        let mut asked = chat("fast", false);
        asked["keep_alive"] = keep_alive;
        stage.send(CallRoute::Chat, &asked).await;
        stage.until_looked_twice().await;
    }
    assert_eq!(stage.external_all(), 0.0);
}

#[tokio::test]
async fn a_model_that_somebody_else_loads_or_uses_is_noticed() {
    let stage = attentive(ollama::Config::instant()).await;
    stage.ask(call(QWEN)).await.unwrap();
    stage.until_looked_twice().await;
    let mut theirs = chat(QWEN, false);
    theirs["keep_alive"] = json!("20m");
    assert_eq!(stage.direct("/api/chat", &theirs).await.0, 200);
    stage.until_external("expiry").await;
    assert_eq!(stage.external("model"), 0.0);

    stage.direct("/api/chat", &chat("llama3.2:3b", false)).await;
    stage.until_external("model").await;
    assert_eq!(stage.external("wait") + stage.external("full"), 0.0);
}

#[tokio::test]
async fn a_call_that_waits_inside_ollama_is_noticed() {
    let mut simulated = ollama::Config::instant();
    simulated.models[0].decode_tokens_per_s = Some(25.0);
    let stage = attentive(simulated).await;
    stage.ollama.script([Reply::Text("word ".repeat(40)), Reply::Text("hello".to_owned())]);
    let theirs = chat(QWEN, false);
    let ours = async {
        let asked = async || stage.bodies("/api/chat").len() == 1;
        eventually("somebody else asks", SOON, asked).await.unwrap();
        stage.ask(call(QWEN)).await.unwrap();
    };
    tokio::join!(stage.direct("/api/chat", &theirs), ours);
    assert_eq!(stage.external("wait"), 1.0);
}

#[tokio::test]
async fn a_queue_of_ollama_that_is_full_is_noticed() {
    let stage = attentive(ollama::Config::instant()).await;
    stage.ollama.faults().refuse(true);
    failed(stage.ask(call(QWEN)).await);
    assert_eq!(stage.external("full"), 1.0);
}
