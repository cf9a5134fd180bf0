use reqwest::Method;
use reqwest::header::{HOST, ORIGIN};
use roughneck_testkit::ollama::{Capability, Config, FakeOllama, Model};
use serde_json::{Value, json};

use crate::client::{client, instant, parts, post, request};

/// Path, body, and the status and message that must come back.
type Case = (&'static str, Value, u16, &'static str);

async fn check(ollama: &FakeOllama, cases: impl IntoIterator<Item = Case>) {
    for (path, body, status, message) in cases {
        let (got, content_type, text) = parts(post(ollama, path, &body).await).await;
        assert_eq!(text, json!({"error": message}).to_string(), "{path} {body}");
        assert_eq!(got, status, "{path} {body}");
        assert_eq!(content_type, "application/json; charset=utf-8");
    }
}

fn hi() -> Value {
    json!([{"role": "user", "content": "Hi"}])
}

#[tokio::test]
async fn a_model_that_is_missing_or_not_named_is_refused_in_upstreams_words() {
    let pull = "model \"m\" not found, try pulling it first";
    let cases = [
        ("/api/chat", json!({"messages": hi()}), 400, "model is required"),
        ("/api/generate", json!({"prompt": "x"}), 404, "model '' not found"),
        ("/api/embed", json!({"input": 5}), 404, "model '' not found"),
        ("/api/embeddings", json!({"prompt": "x"}), 400, "model is required"),
        ("/api/chat", json!({"model": "m", "messages": hi()}), 404, "model 'm' not found"),
        ("/api/generate", json!({"model": "m"}), 404, "model 'm' not found"),
        ("/api/generate", json!({"model": "m", "keep_alive": 0}), 404, "model 'm' not found"),
        ("/api/show", json!({"model": "m"}), 404, "model 'm' not found"),
        ("/api/show", json!({}), 400, "model is required"),
        ("/api/embed", json!({"model": "m", "input": "x"}), 404, pull),
        ("/api/embeddings", json!({"model": "m", "prompt": "x"}), 404, pull),
    ];
    check(&instant().await, cases).await;
}

#[tokio::test]
async fn what_a_model_cannot_do_is_refused_in_upstreams_words() {
    let mut config = Config::instant();
    config
        .models
        .push(Model { capabilities: vec![Capability::Completion], ..Model::chat("plain:1b") });
    let ollama = FakeOllama::start(config).await.unwrap();
    let embedder = "nomic-embed-text";
    let tools = json!([{"type": "function"}]);
    let cases = [
        (
            "/api/chat",
            json!({"model": embedder, "messages": hi()}),
            400,
            "\"nomic-embed-text\" does not support chat",
        ),
        (
            "/api/generate",
            json!({"model": embedder, "prompt": "x"}),
            400,
            "\"nomic-embed-text\" does not support generate",
        ),
        (
            "/api/chat",
            json!({"model": "plain:1b", "messages": hi(), "think": true}),
            400,
            "\"plain:1b\" does not support thinking",
        ),
        (
            "/api/chat",
            json!({"model": "plain:1b", "messages": hi(), "tools": tools}),
            400,
            "registry.ollama.ai/library/plain:1b does not support tools",
        ),
        // Of several things the one is named that upstream looks at first.
        (
            "/api/chat",
            json!({"model": "PLAIN:1b", "messages": hi(), "think": true, "tools": tools}),
            400,
            "\"PLAIN:1b\" does not support thinking",
        ),
        (
            "/api/chat",
            json!({"model": embedder, "messages": hi(), "think": true}),
            400,
            "\"nomic-embed-text\" does not support thinking",
        ),
        (
            "/api/chat",
            json!({"model": embedder, "messages": hi(), "tools": tools}),
            400,
            "\"nomic-embed-text\" does not support chat",
        ),
        (
            "/api/chat",
            json!({"model": "PLAIN:1b", "messages": hi(), "tools": tools}),
            400,
            "registry.ollama.ai/library/plain:1b does not support tools",
        ),
    ];
    check(&ollama, cases).await;
    let able = json!({"model": "qwen3:4b", "messages": hi(), "tools": tools, "stream": false});
    assert_eq!(post(&ollama, "/api/chat", &able).await.status(), 200);
}

#[tokio::test]
async fn wrong_fields_are_refused_in_upstreams_words() {
    let chat = |field: &str, value: Value| {
        let mut body = json!({"model": "qwen3:4b", "messages": hi()});
        body[field] = value;
        body
    };
    let cases = [
        (
            "/api/generate",
            json!({"model": "qwen3:4b", "prompt": "x", "raw": true, "system": "y"}),
            400,
            "raw mode does not support template, system, or context",
        ),
        (
            "/api/chat",
            chat("top_logprobs", json!(21)),
            400,
            "top_logprobs must be between 0 and 20",
        ),
        ("/api/chat", chat("keep_alive", json!("5")), 400, "time: missing unit in duration \"5\""),
        (
            "/api/chat",
            chat("options", json!({"num_ctx": "8k"})),
            500,
            "option \"num_ctx\" must be of type integer",
        ),
        ("/api/embed", json!({"model": "nomic-embed-text", "input": 5}), 400, "invalid input type"),
    ];
    check(&instant().await, cases).await;
}

#[tokio::test]
async fn bodies_are_decoded_as_go_decodes_them() {
    let ollama = instant().await;
    let table = [
        ("", 400, r#"{"error":"missing request body"}"#),
        ("{", 400, r#"{"error":"unexpected EOF"}"#),
        ("x", 400, r#"{"error":"invalid character 'x' looking for beginning of value"}"#),
    ];
    for (body, status, expected) in table {
        let response = request(&ollama, Method::POST, "/api/chat").body(body).send().await;
        let (got, _, text) = parts(response.unwrap()).await;
        assert_eq!((got, text.as_str()), (status, expected));
    }
    let trailing = r#"{"model":"qwen3:4b","prompt":"Hi","stream":false} and more"#;
    let response = request(&ollama, Method::POST, "/api/generate").body(trailing).send().await;
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_plain_text() {
    let ollama = instant().await;
    let response = request(&ollama, Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(
        parts(response).await,
        (404, "text/plain".to_owned(), "404 page not found".to_owned())
    );
    let response = request(&ollama, Method::GET, "/api/chat").send().await.unwrap();
    assert_eq!(parts(response).await.0, 405);
}

#[tokio::test]
async fn foreign_hosts_and_origins_get_a_bare_403() {
    let ollama = instant().await;
    let url = format!("{}/api/tags", ollama.url());
    for (header, value) in
        [(HOST, "example.org"), (ORIGIN, "https://example.org"), (ORIGIN, "null")]
    {
        let response = client().get(&url).header(header, value).send().await.unwrap();
        assert_eq!(response.status(), 403, "{value}");
        assert_eq!(response.text().await.unwrap(), "");
    }
    let response = client().get(&url).header(HOST, "localhost:11434").send().await.unwrap();
    assert_eq!(response.status(), 200);
}
