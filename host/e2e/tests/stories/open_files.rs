//! A host that may have few files open.

use reqwest::{Method, StatusCode};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};
use serde_json::json;
use tokio::net::TcpStream;

use crate::{
    doctor::{findings, of},
    host::{Host, LIMIT, Setup},
};

/// As a shell of macOS does.
const FEW: &str = "-Sn 256";

/// As an operator may who means it.
const NO_MORE: &str = "-n 256";

async fn limit(host: &Host) -> Option<f64> {
    host.metrics().await.sum("roughneck_http_connections_limit")
}

#[tokio::test]
async fn a_host_that_begins_with_few_files_takes_more() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url()).ulimit(FEW);
    let host = setup.start();
    assert_eq!(limit(&host).await, Some(1024.0), "{}", setup.log());
    assert!(!setup.log().contains("files"), "{}", setup.log());
    let (code, found) = findings(&setup, &["--url", &host.url]).await;
    assert_eq!((code, &of(&found, "files")["status"]), (0, &json!("ok")), "{found:#?}");
}

#[tokio::test]
async fn where_few_files_are_allowed_a_crowd_of_clients_takes_none_of_those_that_jobs_need() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url()).ulimit(NO_MORE);
    let (_, found) = findings(&setup, &[]).await;
    assert_eq!(of(&found, "files")["status"], "warn", "{found:#?}");
    let host = setup.start();
    let why = "only 256 files may be open, so 128 clients are served at once and not 1024";
    assert!(setup.log().contains(why), "{}", setup.log());

    let at = host.url.strip_prefix("http://").unwrap();
    let mut crowd = Vec::new();
    for _ in 0..400 {
        crowd.push(TcpStream::connect(at).await.unwrap());
    }
    // It gets through to a host that it can ask, and whose jobs run.
    eventually("the host serves clients again", LIMIT, async || {
        let (status, _) = host.send(Method::GET, "/kinds", "").await;
        status == StatusCode::OK
    })
    .await
    .unwrap();
    let id = host.submit(&json!({ "kind": "echo", "input": { "still": "here" } })).await;
    assert_eq!(host.until(&id, "done").await["output"], json!({ "still": "here" }));
    let health = host.get("/healthz").await;
    assert_eq!(health["connections"]["limit"], 128, "{health}");
    let (_, found) = findings(&setup, &["--url", &host.url]).await;
    let files = of(&found, "files");
    assert_eq!(files["found"], "there are enough for 128 clients at once, and not for 1024");
    assert!(!setup.log().contains("Too many open files"), "{}", setup.log());
}
