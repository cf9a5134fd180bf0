//! `roughneck model`, as people and scripts use it.

use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};

use serde_json::json;

use crate::{
    client::http,
    host::{LIMIT, Setup},
};

#[tokio::test]
async fn models_are_listed_loaded_and_unloaded() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let aliases = "\n[ollama]\naliases = { quick = \"llama3.2:3b\", gone = \"absent:1b\" }\n";
    let host = Setup::new(&ollama.url()).more_config(aliases).start();
    let listed = host.cli(&["model", "list"]).await.exits(0);
    let row = listed.out.lines().find(|line| line.starts_with("llama3.2:3b")).unwrap();
    assert!(row.ends_with("default, quick") && row.contains("3.2B"), "{row}");
    let aliases = host.cli(&["model", "alias"]).await.exits(0);
    let rows: Vec<_> = aliases.out.lines().map(|row| row.split_whitespace().take(2)).collect();
    let model_of = |alias: &str| {
        rows.iter().cloned().find_map(|mut row| (row.next() == Some(alias)).then(|| row.next()))
    };
    assert_eq!((model_of("quick"), model_of("gone")), (Some(Some("llama3.2:3b")), Some(Some("-"))));
    assert!(model_of("default").is_some(), "{}", aliases.out);
    assert!(aliases.out.contains("absent:1b"), "it says why: {}", aliases.out);
    assert!(listed.err.contains("the alias gone stands for nothing"), "{}", listed.err);

    for (name, model, context) in
        [("quick", "llama3.2:3b", "8192"), ("nomic-embed-text", "nomic-embed-text:latest", "2048")]
    {
        let loaded = host.cli(&["model", "load", name, "--num-ctx", context]).await.exits(0);
        assert!(loaded.err.contains(&format!("{name} is loaded")), "{}", loaded.err);
        let row = loaded.out.lines().nth(1).unwrap();
        assert!(row.starts_with(model) && row.contains(context), "{row}");
        let ps = host.cli(&["model", "ps", "--json"]).await.exits(0).json();
        assert_eq!(ps["models"][0]["name"], model, "{ps:#}");

        host.cli(&["model", "unload", name]).await.exits(0);
        eventually("it is unloaded", LIMIT, async || {
            host.cli(&["model", "ps"]).await.exits(0).out.lines().count() == 1
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_pinned_context_holds_on_v1_and_what_keeps_it_there_is_not_seen() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let pin = "\n[ollama]\nnum-ctx = { \"qwen3:4b\" = 16384 }\n";
    let host = Setup::new(&ollama.url()).more_config(pin).start();
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let question = json!({"model": "qwen3:4b", "messages": messages, "max_tokens": 50}).to_string();
    for path in ["/v1/chat/completions", "/api/chat", "/v1/messages", "/v1/chat/completions"] {
        let request = http().post(format!("{}{path}", host.url)).body(question.clone());
        let answer = request.send().await.unwrap().text().await.unwrap();
        assert!(answer.contains("\"model\":\"qwen3:4b\""), "{path}: {answer}");
    }
    let loads = ollama.loads();
    assert_eq!((loads.len(), loads[0].context_length), (1, 16_384), "{loads:?}");
    let made = ollama.log().iter().filter(|request| request.path == "/api/create").count();
    assert_eq!(made, 1);
    let listed = host.cli(&["model", "list"]).await.exits(0).out;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    let ps = host.cli(&["model", "ps"]).await.exits(0).out;
    assert!(ps.contains("qwen3:4b") && ps.contains("16384"), "{ps}");
    assert!(!format!("{listed}{ps}").contains("roughneck/"), "{listed}{ps}");
}

#[tokio::test]
async fn what_cannot_be_done_with_a_model_is_said_in_a_sentence() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let patient = "\n[ollama]\naway-patience = \"1h\"\n";
    let host = Setup::new(&ollama.url()).more_config(patient).start();
    let ended = host.cli(&["model", "load", "nope"]).await.exits(1);
    let listed = "error: model 'nope' not found; `roughneck model list` lists those";
    assert!(ended.err.contains(listed), "{}", ended.err);
    for action in ["load", "unload"] {
        let ended = host.cli(&["model", action, "qwen3", "--json"]).await.exits(1);
        assert!(ended.err.contains("not found; did you mean `qwen3:4b`?"), "{}", ended.err);
        assert_eq!(ended.json(), json!({"error": "model 'qwen3' not found"}));
    }
    host.cli(&["model", "load", "qwen3:4b", "--num-ctx", "0"]).await.exits(2);
    ollama.stop_listening().await;
    for arguments in [&["model", "list"][..], &["model", "unload", "qwen3:4b"]] {
        // At once: a client's call would wait for it.
        let ended = host.cli(arguments).await.exits(1);
        assert!(ended.err.contains("Ollama"), "{}", ended.err);
    }
}
