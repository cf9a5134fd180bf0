use roughneck_testkit::ollama::Reply;
use serde_json::{Value, json};

use crate::client::{exact, parts, post, post_json};

fn hi(extra: &Value) -> Value {
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let mut body = json!({"model": "qwen3:4b", "max_tokens": 100, "messages": messages});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn weather(extra: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"const": "Paris"}}});
    let mut body = hi(&json!({"tools": [{"name": "get_weather", "input_schema": schema}]}));
    body["messages"] = json!([{"role": "user", "content": "Use get_weather."}]);
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_message_comes_whole_in_these_very_bytes() {
    let ollama = exact().await;
    ollama.script([Reply::Text("Hi you".to_owned())]);
    let asked = hi(&json!({"system": [{"type": "text", "text": "Be brief."}]}));
    let (status, _, body) = parts(post(&ollama, "/v1/messages", &asked).await).await;
    assert_eq!(status, 200);
    let expected = concat!(
        r#"{"id":"msg_000000000000000000000000","type":"message","role":"assistant","model":"qwen3:4b","#,
        r#""content":[{"type":"text","text":"Hi you"}],"stop_reason":"end_turn","#,
        r#""usage":{"input_tokens":12,"output_tokens":3}}"#,
        "\n",
    );
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_streamed_message_is_blocks_that_begin_grow_and_end() {
    let ollama = exact().await;
    ollama.script([Reply::Text("Hi you".to_owned())]);
    let body = parts(post(&ollama, "/v1/messages", &hi(&json!({"stream": true}))).await).await.2;
    let expected = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_000000000000000000000000","type":"message","#,
        r#""role":"assistant","model":"qwen3:4b","content":[],"usage":{"input_tokens":1,"output_tokens":0}}}"#,
        "\n\nevent: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" you"}}"#,
        "\n\nevent: content_block_stop\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":5,"output_tokens":3}}"#,
        "\n\nevent: message_stop\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n",
    );
    assert_eq!(body, expected);
}

#[tokio::test]
async fn thoughts_and_calls_are_blocks_and_results_are_answered() {
    let ollama = exact().await;
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let whole = post_json(&ollama, "/v1/messages", &weather(&thinking)).await;
    assert_eq!(whole["stop_reason"], "tool_use");
    let kinds: Vec<&Value> =
        whole["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["thinking", "tool_use"]);
    let call = &whole["content"][1];
    assert_eq!((&call["name"], &call["input"]), (&json!("get_weather"), &json!({"city": "Paris"})));

    let streamed = weather(&json!({"stream": true}));
    let body = parts(post(&ollama, "/v1/messages", &streamed).await).await.2;
    let delta = r#""delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Paris\"}"}"#;
    assert!(body.contains(delta) && body.contains(r#""input":{}"#), "{body}");

    let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": "18 degrees"});
    let messages = json!([
        {"role": "user", "content": "Use get_weather."},
        {"role": "assistant", "content": whole["content"]},
        {"role": "user", "content": [result]},
    ]);
    let answer = post_json(&ollama, "/v1/messages", &weather(&json!({"messages": messages}))).await;
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("18 degrees"), "{text}");
}

#[tokio::test]
async fn images_are_taken_as_base64() {
    let ollama = exact().await;
    let with = |source: Value| {
        let image = json!({"type": "image", "source": source});
        let parts = json!([{"type": "text", "text": "Hi"}, image]);
        hi(&json!({"messages": [{"role": "user", "content": parts}]}))
    };
    let base64 = json!({"type": "base64", "media_type": "image/png", "data": "aGk="});
    let seen = post_json(&ollama, "/v1/messages", &with(base64)).await;
    assert_eq!(seen["usage"]["input_tokens"], 69);
    let url = with(json!({"type": "url", "url": "https://example.com/a.png"}));
    let refused = post_json(&ollama, "/v1/messages", &url).await;
    let message = "invalid image source type: url. Only base64 images are supported.";
    assert_eq!(refused["error"]["message"], message);
}

#[tokio::test]
async fn a_model_that_cannot_think_is_not_told_to() {
    let ollama = exact().await;
    let thinks = json!({"type": "enabled", "budget_tokens": 1024});
    let thinks = |model| hi(&json!({"model": model, "thinking": thinks}));
    let seen = post_json(&ollama, "/v1/messages", &thinks("llama3.2:3b")).await;
    assert_eq!((&seen["content"][0]["type"], &seen["error"]), (&json!("text"), &Value::Null));
    let seen = post_json(&ollama, "/v1/messages", &thinks("qwen3:4b")).await;
    assert_eq!(seen["content"][0]["type"], "thinking");
}

#[tokio::test]
async fn errors_have_anthropics_shape_and_mid_stream_ones_are_lost_as_upstream() {
    let ollama = exact().await;
    let table = [
        (json!({"model": ""}), 400, "invalid_request_error", "model is required"),
        (
            json!({"max_tokens": 0}),
            400,
            "invalid_request_error",
            "max_tokens is required and must be positive",
        ),
        (json!({"messages": []}), 400, "invalid_request_error", "messages is required"),
        (json!({"model": "m"}), 404, "not_found_error", "model 'm' not found"),
    ];
    for (extra, status, kind, message) in table {
        let response = post(&ollama, "/v1/messages", &hi(&extra)).await;
        assert_eq!(response.status(), status);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"], json!({"type": kind, "message": message}));
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"), "{body}");
    }
    ollama.faults().refuse(true);
    let body = post_json(&ollama, "/v1/messages", &hi(&json!({}))).await;
    assert_eq!(body["error"]["type"], "overloaded_error");
    ollama.faults().refuse(false);

    ollama.script([Reply::MidStreamError { after_tokens: 1, message: "boom".to_owned() }]);
    let body = parts(post(&ollama, "/v1/messages", &hi(&json!({"stream": true}))).await).await.2;
    assert!(!body.contains("boom") && !body.contains("message_stop"), "{body}");
}
