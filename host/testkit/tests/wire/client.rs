//! A plain HTTP client and a few shorthands.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use roughneck_testkit::ollama::{Config, FakeOllama, Pace};
use serde_json::Value;

/// Long enough for a busy machine, short enough to see that something hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn client() -> Client {
    // Fails when another test was first, which is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn instant() -> FakeOllama {
    FakeOllama::start(Config::instant()).await.unwrap()
}

/// Waits for nothing, reports exact figures.
pub(crate) async fn exact() -> FakeOllama {
    FakeOllama::start(Config { pace: Pace::Skipped, ..Config::demo() }).await.unwrap()
}

pub(crate) fn request(ollama: &FakeOllama, method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("{}{path}", ollama.url()))
}

pub(crate) async fn get(ollama: &FakeOllama, path: &str) -> Value {
    request(ollama, Method::GET, path).send().await.unwrap().json().await.unwrap()
}

pub(crate) async fn post(ollama: &FakeOllama, path: &str, body: &Value) -> Response {
    request(ollama, Method::POST, path).body(body.to_string()).send().await.unwrap()
}

pub(crate) async fn post_json(ollama: &FakeOllama, path: &str, body: &Value) -> Value {
    post(ollama, path, body).await.json().await.unwrap()
}

/// Status, content type and body of a response.
pub(crate) async fn parts(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (status, content_type, response.text().await.unwrap())
}

/// The objects of a stream of lines. Every line must end, and none may be empty.
pub(crate) fn lines(body: &str) -> Vec<Value> {
    assert!(body.ends_with('\n'), "the last line has no end: {body:?}");
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The body with the value of every `created_at` replaced by `T`, after a look at its form.
pub(crate) fn without_times(body: &str) -> String {
    let mut parts = body.split(r#""created_at":""#);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap();
        assert!(time.len() >= 20 && time.contains('T') && time.ends_with('Z'), "{time}");
        out.push_str(r#""created_at":"T""#);
        out.push_str(rest);
    }
    out
}
