//! What a prompt may hold besides a text: images, and how hard to think.

use serde_json::{Value, json};

use crate::client::{exact, parts, post, post_json};

fn chat(message: &Value, think: &Value) -> Value {
    json!({"model": "qwen3:4b", "messages": [message], "think": think, "stream": false})
}

#[tokio::test]
async fn an_image_costs_tokens_and_must_be_base64() {
    let ollama = exact().await;
    let with = |image: &str| json!({"role": "user", "content": "Hi", "images": [image]});
    let seen = post_json(&ollama, "/api/chat", &chat(&with("aGk="), &json!(false))).await;
    assert_eq!(seen["prompt_eval_count"], 5 + 64);
    let refused = post(&ollama, "/api/chat", &chat(&with("aG!="), &json!(false))).await;
    let (status, _, body) = parts(refused).await;
    assert_eq!(
        (status, body.as_str()),
        (400, r#"{"error":"illegal base64 data at input byte 2"}"#)
    );
    let generate =
        json!({"model": "qwen3:4b", "prompt": "Hi", "images": ["aGk="], "stream": false});
    assert_eq!(post_json(&ollama, "/api/generate", &generate).await["prompt_eval_count"], 69);
}

#[tokio::test]
async fn openais_images_are_data_urls_only() {
    let ollama = exact().await;
    let with = |url: &str| {
        json!({"model": "qwen3:4b", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hi"},
            {"type": "image_url", "image_url": {"url": url}},
        ]}]})
    };
    let path = "/v1/chat/completions";
    let seen = post_json(&ollama, path, &with("data:image/png;base64,aGk=")).await;
    assert_eq!(seen["usage"]["prompt_tokens"], 69);
    let table = [
        (
            "https://example.com/a.png",
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        ("data:text/plain;base64,aGk=", "invalid image input"),
    ];
    for (url, message) in table {
        let response = post(&ollama, path, &with(url)).await;
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["message"], message);
    }
}

#[tokio::test]
async fn a_model_thinks_as_hard_as_it_is_asked_to() {
    let ollama = exact().await;
    let hi = json!({"role": "user", "content": "Hi"});
    let mut lengths = Vec::new();
    for think in [json!("low"), json!(true), json!("high"), json!("max")] {
        let body = post_json(&ollama, "/api/chat", &chat(&hi, &think)).await;
        lengths.push(body["message"]["thinking"].as_str().unwrap().len());
    }
    assert!(lengths.is_sorted() && lengths[0] < lengths[3], "{lengths:?}");
    let refused = post(&ollama, "/api/chat", &chat(&hi, &json!("hard"))).await;
    assert_eq!(refused.status(), 400);
    let effort = json!({"model": "qwen3:4b", "messages": [hi], "reasoning_effort": "low"});
    let body = post_json(&ollama, "/v1/chat/completions", &effort).await;
    let reasoning = body["choices"][0]["message"]["reasoning"].as_str().unwrap();
    assert_eq!(reasoning.len(), lengths[0]);
}
