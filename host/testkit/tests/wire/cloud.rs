use roughneck_testkit::ollama::{Config, FakeOllama, Model};
use serde_json::{Value, json};

use crate::client::{get, lines, parts, post, post_json};

async fn with_cloud(cloud: Option<Vec<Model>>) -> FakeOllama {
    let mut config = Config { cloud, ..Config::instant() };
    config.models.push(Model::stub("mine:latest", "huge:120b"));
    FakeOllama::start(config).await.unwrap()
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn what_answers_elsewhere_is_told_as_such_and_needs_no_runner() {
    let ollama = with_cloud(Some(vec![Model::chat("huge:120b")])).await;
    let tags = get(&ollama, "/api/tags").await;
    let mine = tags["models"].as_array().unwrap().last().unwrap();
    assert_eq!(mine["remote_model"], "huge:120b");
    assert_eq!(mine["remote_host"], "https://ollama.com:443");
    let answer = parts(post(&ollama, "/api/chat", &chat("mine")).await).await.2;
    let last = lines(&answer).pop().unwrap();
    assert_eq!((&last["model"], &last["remote_model"]), (&"mine".into(), &"huge:120b".into()));
    // Whether it was pulled or not, and by its name there.
    let embed = json!({"model": "HUGE:120b-Cloud", "input": "hello"});
    assert_eq!(post(&ollama, "/api/embed", &embed).await.status(), 200);
    let answer = parts(post(&ollama, "/api/chat", &chat("huge:120b:cloud")).await).await.2;
    let last = lines(&answer).pop().unwrap();
    assert_eq!((&last["model"], last.get("remote_model")), (&"huge:120b".into(), None));
    for missing in ["nobody:cloud", "mine:local"] {
        assert_eq!(post(&ollama, "/api/chat", &chat(missing)).await.status(), 404, "{missing}");
    }
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));
    assert!(ollama.loads().is_empty());
    assert_eq!(get(&ollama, "/api/status").await["cloud"]["disabled"], false);
    let recommended = get(&ollama, "/api/experimental/model-recommendations").await;
    let models = recommended["recommendations"].as_array().unwrap();
    assert_eq!(models[0]["model"], "huge:120b-cloud");
    assert_eq!(
        (&models[0]["max_output_tokens"], models[0].get("vram_bytes")),
        (&32768.into(), None)
    );
    assert!(models[1]["vram_bytes"].is_u64() && models[1].get("context_length").is_none());
}

#[tokio::test]
async fn a_cloud_that_is_switched_off_is_told_with_403() {
    let ollama = with_cloud(None).await;
    for (path, body, words) in [
        ("/api/chat", chat("mine"), "remote model is unavailable"),
        ("/api/chat", chat("huge:120b-cloud"), "remote model is unavailable"),
        ("/api/show", json!({"model": "mine"}), "remote model details are unavailable"),
    ] {
        let (status, _, answer) = parts(post(&ollama, path, &body).await).await;
        let expected = json!({"error": format!("ollama cloud is disabled: {words}")});
        assert_eq!((status, answer), (403, expected.to_string()));
    }
    let shown = post_json(&ollama, "/api/show", &json!({"model": "qwen3:4b"})).await;
    assert!(shown["capabilities"].is_array());
    assert_eq!(get(&ollama, "/api/status").await["cloud"]["disabled"], true);
}
