//! `roughneck chat`, as scripts use it.

use std::process::Stdio;

use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Reply},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::{
    command_line::{Ended, roughneck},
    host::{LIMIT, Setup},
};

#[tokio::test]
async fn an_answer_is_alone_on_standard_output_and_its_figures_are_beside_it() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Text("The wheel\nturns.".to_owned())]);
    let host = Setup::new(&ollama.url()).start();
    let chat = ["chat", "what does it do?", "--model", "qwen3:4b", "--system", "Be short."];
    let ended = host.cli(&chat).await.exits(0);
    assert_eq!(ended.out, "The wheel\nturns.\n");
    assert!(ended.err.starts_with("tokens: "), "{}", ended.err);
    assert!(ended.err.contains("; waited "), "{}", ended.err);
    let log = ollama.log();
    let sent = log.iter().find(|one| one.path == "/api/chat").unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(
        sent["messages"],
        json!([
            { "role": "system", "content": "Be short." },
            { "role": "user", "content": "what does it do?" },
        ])
    );
    let jobs = host.get("/jobs").await;
    assert_eq!(jobs["jobs"][0]["state"], "done", "{jobs:#}");
}

#[tokio::test]
async fn a_question_may_come_through_a_pipe_with_a_priority() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let chat = ["chat", "--priority", "low", "--json"];
    let mut child = roughneck(&host.url, &chat).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"tell me about mills").await.unwrap();
    let ended = Ended::of(child).await.exits(0);
    let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["done"], true, "{}", ended.out);
    eventually("the job is done", LIMIT, async || {
        let job = host.get("/jobs").await["jobs"][0].clone();
        job["priority"] == "low" && job["state"] == "done"
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_begins_is_an_error_with_a_sentence() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let message = "the runner died".to_owned();
    ollama.script([Reply::MidStreamError { after_tokens: 2, message }]);
    let host = Setup::new(&ollama.url()).start();
    let ended = host.cli(&["chat", "why?"]).await.exits(1);
    assert!(ended.err.contains("error: the answer broke off: the runner died"), "{}", ended.err);
    let ended = host.cli(&["chat", "why?", "--model", "qwen3"]).await.exits(1);
    let meant = "error: model 'qwen3' not found; did you mean `qwen3:4b`?";
    assert!(ended.err.contains(meant), "{}", ended.err);
    let ended = host.cli(&["chat"]).await.exits(1);
    assert!(ended.err.contains("there is nothing to ask"), "{}", ended.err);
}

#[tokio::test]
async fn whoever_waits_is_told_so() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 1 }]);
    let host = Setup::new(&ollama.url()).more_config("\n[ollama]\nquiet-for = \"50ms\"\n").start();
    let mut first = roughneck(&host.url, &["chat", "the first"]).spawn().unwrap();
    eventually("the first is asked", LIMIT, async || {
        ollama.log().iter().any(|one| one.path == "/api/chat")
    })
    .await
    .unwrap();
    let mut second = roughneck(&host.url, &["chat", "the second"]).spawn().unwrap();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let line = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(line.starts_with("queued at place 1, for "), "{line}");
    first.kill().await.unwrap();
    let line = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(line.starts_with("tokens: "), "{line}");
    assert!(!Ended::of(second).await.exits(0).out.is_empty());
}
