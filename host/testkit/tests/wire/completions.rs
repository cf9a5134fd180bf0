use roughneck_testkit::ollama::Reply;
use serde_json::{Value, json};

use crate::client::{exact, parts, post, post_json};

#[tokio::test]
async fn a_completion_comes_whole_or_in_chunks_that_carry_the_usage() {
    let ollama = exact().await;
    ollama.script([Reply::Text("Hi you".to_owned()), Reply::Text("Hi you".to_owned())]);
    let mut asked = json!({"model": "qwen3:4b", "prompt": "Hi"});
    let whole = post_json(&ollama, "/v1/completions", &asked).await;
    assert_eq!(whole["object"], "text_completion");
    let choice = json!({"text": "Hi you", "index": 0, "finish_reason": "stop"});
    assert_eq!(whole["choices"], json!([choice]));
    assert_eq!(whole["usage"]["total_tokens"], 8);

    asked["stream"] = json!(true);
    asked["stream_options"] = json!({"include_usage": true});
    let body = parts(post(&ollama, "/v1/completions", &asked).await).await.2;
    let events: Vec<&str> =
        body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!((events.len(), events[4]), (5, "[DONE]"));
    let chunks: Vec<Value> =
        events[..4].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let texts: Vec<&Value> = chunks[..3].iter().map(|chunk| &chunk["choices"][0]["text"]).collect();
    assert_eq!(texts, ["Hi", " you", ""]);
    assert_eq!(chunks[0]["usage"]["total_tokens"], 0);
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&chunks[3]["choices"], &chunks[3]["usage"]["total_tokens"]),
        (&json!([]), &json!(8))
    );
}

#[tokio::test]
async fn an_empty_prompt_only_loads_and_an_error_in_the_middle_is_lost() {
    let ollama = exact().await;
    let empty = json!({"model": "qwen3:4b", "prompt": ""});
    let loaded = post_json(&ollama, "/v1/completions", &empty).await;
    assert_eq!(loaded["choices"][0]["finish_reason"], "load");
    assert_eq!(ollama.loads().len(), 1);
    let streamed = json!({"model": "qwen3:4b", "prompt": "", "stream": true});
    let body = parts(post(&ollama, "/v1/completions", &streamed).await).await.2;
    assert!(
        body.contains(r#""finish_reason":"load""#) && body.ends_with("data: [DONE]\n\n"),
        "{body}"
    );
    assert!(!ollama.log()[1].client_left, "who has read the end has not left");

    ollama.script([Reply::MidStreamError { after_tokens: 1, message: "boom".to_owned() }]);
    let asked = json!({"model": "qwen3:4b", "prompt": "Hi", "stream": true});
    let body = parts(post(&ollama, "/v1/completions", &asked).await).await.2;
    assert!(!body.contains("boom") && !body.contains("[DONE]"), "{body}");
}
