//! Stopping on request.

use std::{
    io::Read as _,
    process::{Command, Stdio},
};

use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Reply},
};
use serde_json::json;

use crate::host::{LIMIT, Setup};

fn slow() -> Config {
    let mut config = Config::demo();
    for model in &mut config.models {
        model.load_time = std::time::Duration::ZERO;
        model.decode_tokens_per_s = Some(60.0);
    }
    config
}

#[tokio::test]
async fn a_running_job_finishes_and_a_waiting_one_is_kept() {
    let ollama = FakeOllama::start(slow()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let summary =
        json!({ "kind": "summarize", "input": { "text": "It rained. Then it stopped." } });
    let running = host.submit(&summary).await;
    host.events(&running, None).await.until(|event| event.name == "token").await;
    let waiting = host.submit(&summary).await;
    host.signal("TERM");
    assert_eq!(host.wait().await.code(), Some(0));

    let host = setup.start();
    let job = host.job(&running).await;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("done"), &json!(1)), "{job:#}");
    let job = host.until(&waiting, "done").await;
    assert_eq!((&job["attempt"], &job["losses"]), (&json!(1), &json!(0)), "{job:#}");
}

#[tokio::test]
async fn a_signal_during_the_start_does_not_wait_for_plugins_to_be_compiled() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let mut child = setup.command().stderr(Stdio::piped()).spawn().unwrap();
    let database = setup.data_dir().join("roughneck.db");
    eventually("the host has begun", LIMIT, async || database.exists()).await.unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{log}");
    // The last one that a start looks at.
    assert!(!log.contains("wrong-version"), "{log}");
}

#[tokio::test]
async fn a_job_that_does_not_finish_in_time_goes_back_to_the_queue() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 2 }]);
    let setup = Setup::new(&ollama.url()).config("30s", "200ms");
    let host = setup.start();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
    host.events(&id, None).await.until(|event| event.name == "token").await;
    host.signal("TERM");
    assert_eq!(host.wait().await.code(), Some(0));

    let host = setup.start();
    let job = host.until(&id, "done").await;
    assert_eq!((&job["attempt"], &job["losses"]), (&json!(1), &json!(0)), "{job:#}");
}

#[tokio::test]
async fn a_second_signal_ends_the_host_at_once_and_its_job_runs_again() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 2 }]);
    let setup = Setup::new(&ollama.url());
    let mut host = setup.start();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
    host.events(&id, None).await.until(|event| event.name == "token").await;
    host.signal("TERM");
    eventually("the host says that it stops", LIMIT, async || setup.log().contains("stopping"))
        .await
        .unwrap();
    assert!(host.runs(), "it waits for its job");
    host.signal("TERM");
    assert_eq!(host.wait().await.code(), Some(1));

    let host = setup.start();
    assert_eq!(host.until(&id, "done").await["losses"], 1);
}
