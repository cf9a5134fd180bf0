use roughneck_testkit::ollama::{FakeOllama, Reply};
use serde_json::{Value, json};

use crate::client::{exact, instant, lines, parts, post, post_json, without_times};

fn chat(extra: &Value) -> Value {
    let mut body = json!({
        "model": "qwen3:4b",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(extra.as_object().unwrap().clone());
    body
}

async fn scripted(text: &str) -> FakeOllama {
    let ollama = exact().await;
    ollama.script([Reply::Text(text.to_owned())]);
    ollama
}

#[tokio::test]
async fn a_chat_streams_these_very_bytes() {
    let ollama = scripted("Hi <you>.").await;
    let (status, content_type, body) =
        parts(post(&ollama, "/api/chat", &chat(&json!({}))).await).await;
    assert_eq!((status, content_type.as_str()), (200, "application/x-ndjson"));
    // 4 + 3 pieces for "Be brief.", 4 + 6 for the question; 5 pieces and the end at 35 a second.
    let expected = concat!(
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":"Hi"},"done":false}"#,
        "\n",
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":" \u003c"},"done":false}"#,
        "\n",
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":"you"},"done":false}"#,
        "\n",
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":"\u003e"},"done":false}"#,
        "\n",
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":"."},"done":false}"#,
        "\n",
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","#,
        r#""total_duration":1690317463,"load_duration":1500000000,"prompt_eval_count":17,"prompt_eval_duration":18888889,"#,
        r#""eval_count":6,"eval_duration":171428574}"#,
        "\n",
    );
    assert_eq!(without_times(&body), expected);
}

#[tokio::test]
async fn a_generate_streams_these_very_bytes() {
    let ollama = scripted("Hi you").await;
    let body = json!({"model": "QWEN3:4b", "prompt": "Hi"});
    let (status, content_type, body) = parts(post(&ollama, "/api/generate", &body).await).await;
    assert_eq!((status, content_type.as_str()), (200, "application/x-ndjson"));
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(
        without_times(lines[0]),
        r#"{"model":"QWEN3:4b","created_at":"T","response":"Hi","done":false}"#,
    );
    let last = without_times(lines[2]);
    assert!(
        last.starts_with(
            r#"{"model":"QWEN3:4b","created_at":"T","response":"","done":true,"done_reason":"stop","context":["#
        ),
        "{last}"
    );
    assert!(
        last.ends_with(
            r#"],"total_duration":1591269843,"load_duration":1500000000,"prompt_eval_count":5,"prompt_eval_duration":5555556,"eval_count":3,"eval_duration":85714287}"#
        ),
        "{last}"
    );
    let context: Value = serde_json::from_str::<Value>(lines[2]).unwrap()["context"].clone();
    assert_eq!(context.as_array().unwrap().len(), 3, "one token of the prompt, two of the answer");
}

#[tokio::test]
async fn the_figures_of_a_real_run_add_up() {
    let ollama = instant().await;
    let body = parts(post(&ollama, "/api/chat", &chat(&json!({}))).await).await.2;
    let lines = lines(&body);
    let (last, tokens) = lines.split_last().unwrap();
    let figure = |name: &str| last[name].as_u64().unwrap();
    assert_eq!(figure("eval_count"), tokens.len() as u64 + 1);
    assert!(figure("load_duration") > 0);
    let parts = figure("load_duration") + figure("prompt_eval_duration") + figure("eval_duration");
    assert!(figure("total_duration") >= parts, "{last}");
    assert!(tokens.iter().all(|line| line["done"] == false && line.get("done_reason").is_none()));
}

#[tokio::test]
async fn without_streaming_the_answer_is_the_same_in_one_object() {
    let ollama = exact().await;
    let streamed = parts(post(&ollama, "/api/chat", &chat(&json!({}))).await).await.2;
    let text: String =
        lines(&streamed).iter().map(|line| line["message"]["content"].as_str().unwrap()).collect();
    assert!(text.starts_with("[simulated] "), "{text}");

    let (status, content_type, whole) =
        parts(post(&ollama, "/api/chat", &chat(&json!({"stream": false}))).await).await;
    assert_eq!((status, content_type.as_str()), (200, "application/json; charset=utf-8"));
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["message"]["content"], text.as_str());
    assert_eq!(whole["done_reason"], "stop");
    assert_eq!(whole["eval_count"], lines(&streamed).last().unwrap()["eval_count"]);
    assert_eq!(whole["load_duration"], 1, "the model was loaded already");
}

#[tokio::test]
async fn num_predict_cuts_the_answer_for_its_length() {
    let ollama = exact().await;
    let body = chat(&json!({"options": {"num_predict": 3}}));
    let body = parts(post(&ollama, "/api/chat", &body).await).await.2;
    let lines = lines(&body);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["done_reason"], "length");
    assert_eq!(lines[3]["eval_count"], 3, "the end of the sequence was not sampled");
}

#[tokio::test]
async fn a_stop_sequence_ends_the_answer_before_it() {
    let ollama = exact().await;
    let body = chat(&json!({"stream": false, "options": {"stop": ["ran", ""]}}));
    let answer = post_json(&ollama, "/api/chat", &body).await;
    assert_eq!(answer["message"]["content"], "[simulated] No model ");
    assert_eq!(answer["done_reason"], "stop");
}

#[tokio::test]
async fn a_thinking_model_thinks_first_and_its_thoughts_count() {
    let ollama = scripted("Yes.").await;
    let body = parts(post(&ollama, "/api/chat", &chat(&json!({"think": true}))).await).await.2;
    let lines = lines(&body);
    assert_eq!(lines[0]["message"]["thinking"], "[");
    assert_eq!(lines[0]["message"]["content"], "");
    assert_eq!(lines[lines.len() - 2]["message"]["content"], ".");
    assert_eq!(lines.last().unwrap()["eval_count"], lines.len());
}

#[tokio::test]
async fn a_prompt_is_cut_to_the_context_or_refused() {
    let ollama = exact().await;
    let options = json!({"stream": false, "options": {"num_ctx": 8}});
    let answer = post_json(&ollama, "/api/chat", &chat(&options)).await;
    assert_eq!(answer["prompt_eval_count"], 8);
    let strict = chat(&json!({"truncate": false, "options": {"num_ctx": 8}}));
    let (status, _, body) = parts(post(&ollama, "/api/chat", &strict).await).await;
    assert_eq!(status, 400);
    assert_eq!(body, r#"{"error":"the input length exceeds the context length"}"#);
}
