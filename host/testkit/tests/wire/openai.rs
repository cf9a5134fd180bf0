use reqwest::Method;
use roughneck_testkit::ollama::Reply;
use serde_json::{Value, json};

use crate::client::{exact, get, parts, post, request};

fn without_created(body: &str) -> String {
    let mut parts = body.split(r#""created":"#);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap();
        assert!(digits >= 10);
        out.push_str(r#""created":0"#);
        out.push_str(&part[digits..]);
    }
    out
}

fn hi(extra: &Value) -> Value {
    let mut body = json!({"model": "qwen3:4b", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_chat_completion_streams_these_very_events() {
    let ollama = exact().await;
    ollama.script([Reply::Text("Hi you".to_owned())]);
    let body = hi(&json!({"stream": true, "stream_options": {"include_usage": true}}));
    let response = post(&ollama, "/v1/chat/completions", &body).await;
    let (status, content_type, body) = parts(response).await;
    assert_eq!((status, content_type.as_str()), (200, "text/event-stream"));
    let head = concat!(
        r#"data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":0,"model":"qwen3:4b","#,
        r#""system_fingerprint":"fp_ollama","choices":"#
    );
    let expected = [
        r#"[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}"#,
        r#"[{"index":0,"delta":{"content":" you"},"finish_reason":null}]}"#,
        r#"[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}"#,
    ];
    let expected: String = expected.iter().map(|tail| format!("{head}{tail}\n\n")).collect();
    assert_eq!(without_created(&body), format!("{expected}data: [DONE]\n\n"));
}

#[tokio::test]
async fn streaming_is_off_unless_asked_for() {
    let ollama = exact().await;
    let response = post(&ollama, "/v1/chat/completions", &hi(&json!({"max_tokens": 2}))).await;
    let (status, content_type, body) = parts(response).await;
    assert_eq!((status, content_type.as_str()), (200, "application/json"));
    assert_eq!(
        without_created(&body),
        concat!(
            r#"{"id":"chatcmpl-0","object":"chat.completion","created":0,"model":"qwen3:4b","#,
            r#""system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","#,
            r#""content":"[simulated"},"finish_reason":"length"}],"#,
            r#""usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
            "\n",
        )
    );
}

#[tokio::test]
async fn errors_have_openais_shape_and_mid_stream_ones_are_lost_as_upstream() {
    let ollama = exact().await;
    let unknown = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    let (status, _, body) = parts(post(&ollama, "/v1/chat/completions", &unknown).await).await;
    assert_eq!(status, 404);
    assert_eq!(
        body,
        concat!(
            r#"{"error":{"message":"model 'm' not found","type":"not_found_error","#,
            r#""param":null,"code":null}}"#,
            "\n",
        )
    );
    ollama.script([Reply::MidStreamError { after_tokens: 1, message: "boom".to_owned() }]);
    let response = post(&ollama, "/v1/chat/completions", &hi(&json!({"stream": true}))).await;
    let body = parts(response).await.2;
    assert!(!body.contains("boom") && !body.contains("[DONE]"), "{body}");
    assert_eq!(body.matches("data: ").count(), 2);
}

#[tokio::test]
async fn a_json_schema_is_followed_and_models_are_listed() {
    let ollama = exact().await;
    let format = json!({
        "type": "json_schema",
        "json_schema": {"schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}},
    });
    let body = hi(&json!({"response_format": format}));
    let body = parts(post(&ollama, "/v1/chat/completions", &body).await).await.2;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], r#"{"ok":false}"#);
    let models = get(&ollama, "/v1/models").await;
    assert_eq!(models["data"][0]["id"], "qwen3:4b");
    let one = get(&ollama, "/v1/models/qwen3:4b").await;
    assert_eq!(one, models["data"][0]);
    let (status, _, body) =
        parts(request(&ollama, Method::GET, "/v1/models/m").send().await.unwrap()).await;
    assert_eq!(status, 404);
    assert!(body.starts_with(r#"{"error":{"message":"model 'm' not found","#), "{body}");
}
