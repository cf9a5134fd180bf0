//! `roughneck model`, as people and scripts use it.

use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};

use crate::host::{LIMIT, Setup};

#[tokio::test]
async fn models_are_listed_loaded_and_unloaded() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let aliases = "\n[ollama]\naliases = { quick = \"llama3.2:3b\" }\n";
    let host = Setup::new(&ollama.url()).more_config(aliases).start();
    let listed = host.cli(&["model", "list"]).await.exits(0);
    let row = listed.out.lines().find(|line| line.starts_with("llama3.2:3b")).unwrap();
    assert!(row.ends_with("quick") && row.contains("3.2B"), "{row}");
    let aliases = host.cli(&["model", "alias"]).await.exits(0);
    assert_eq!(aliases.out, "ALIAS  MODEL\nquick  llama3.2:3b\n");

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
async fn what_cannot_be_done_with_a_model_is_said_in_a_sentence() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let ended = host.cli(&["model", "load", "nope"]).await.exits(1);
    assert!(ended.err.contains("error: model 'nope' not found"), "{}", ended.err);
    host.cli(&["model", "load", "qwen3:4b", "--num-ctx", "0"]).await.exits(2);
    ollama.stop_listening().await;
    let ended = host.cli(&["model", "list"]).await.exits(1);
    assert!(ended.err.contains("Ollama"), "{}", ended.err);
}
