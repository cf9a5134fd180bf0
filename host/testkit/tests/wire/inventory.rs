use reqwest::Method;
use serde_json::json;

use crate::client::{get, instant, parts, post, post_json, request, without_times};

#[tokio::test]
async fn the_heartbeat_and_the_version_answer_get_and_head() {
    let ollama = instant().await;
    let response = request(&ollama, Method::GET, "/").send().await.unwrap();
    let plain = "text/plain; charset=utf-8".to_owned();
    assert_eq!(parts(response).await, (200, plain, "Ollama is running".to_owned()));
    for path in ["/", "/api/version", "/api/tags"] {
        let response = request(&ollama, Method::HEAD, path).send().await.unwrap();
        let (status, _, body) = parts(response).await;
        assert_eq!((status, body.as_str()), (200, ""), "{path}");
    }
    let response = request(&ollama, Method::GET, "/api/version").send().await.unwrap();
    assert_eq!(parts(response).await.2, r#"{"version":"0.33.0"}"#);
}

#[tokio::test]
async fn tags_list_the_installed_models_in_ollamas_order_of_keys() {
    let ollama = instant().await;
    let response = request(&ollama, Method::GET, "/api/tags").send().await.unwrap();
    let body = parts(response).await.2;
    let start = concat!(
        r#"{"models":[{"name":"qwen3:4b","model":"qwen3:4b","modified_at":"2026-01-01T00:00:00Z","#,
        r#""size":2497293931,"digest":""#
    );
    assert!(body.starts_with(start), "{body}");
    let details = concat!(
        r#","details":{"parent_model":"","format":"gguf","family":"qwen3","families":["qwen3"],"#,
        r#""parameter_size":"4.0B","quantization_level":"Q4_K_M"},"#,
        r#""capabilities":["completion","tools","thinking"]}"#
    );
    assert!(body.contains(details), "{body}");
    let tags = get(&ollama, "/api/tags").await;
    assert_eq!(tags["models"].as_array().unwrap().len(), 3);
    assert_eq!(tags["models"][0]["digest"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn show_tells_the_blob_the_context_and_the_capabilities() {
    let ollama = instant().await;
    let shown = post_json(&ollama, "/api/show", &json!({"name": "NOMIC-embed-text"})).await;
    assert_eq!(shown["model_info"]["nomic-bert.context_length"], 2048);
    assert_eq!(shown["capabilities"], json!(["embedding"]));
    let modelfile = shown["modelfile"].as_str().unwrap();
    assert!(modelfile.contains("\nFROM /models/blobs/sha256-"), "{modelfile}");
}

#[tokio::test]
async fn loading_and_unloading_answer_with_one_object_and_no_figures() {
    let ollama = instant().await;
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));

    let load = json!({"model": "qwen3:4b", "stream": true, "keep_alive": -1});
    let (status, content_type, body) = parts(post(&ollama, "/api/generate", &load).await).await;
    assert_eq!((status, content_type.as_str()), (200, "application/json; charset=utf-8"));
    assert_eq!(
        without_times(&body),
        r#"{"model":"qwen3:4b","created_at":"T","response":"","done":true,"done_reason":"load"}"#
    );
    let ps = get(&ollama, "/api/ps").await;
    assert_eq!(ps["models"][0]["name"], "qwen3:4b");
    assert_eq!(ps["models"][0]["context_length"], 4096);
    let expires_at = ps["models"][0]["expires_at"].as_str().unwrap();
    assert!(expires_at > "2200", "{expires_at}");

    let unload = json!({"model": "qwen3:4b", "messages": [], "keep_alive": 0});
    let body = parts(post(&ollama, "/api/chat", &unload).await).await.2;
    assert_eq!(
        without_times(&body),
        concat!(
            r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":""},"#,
            r#""done":true,"done_reason":"unload"}"#
        )
    );
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));
}
