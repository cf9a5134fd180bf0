use roughneck_testkit::ollama::Reply;
use serde_json::{Value, json};

use crate::client::{exact, lines, parts, post, post_json};

fn hi(stream: bool) -> Value {
    json!({
        "model": "qwen3:4b",
        "messages": [{"role": "user", "content": "Hi"}],
        "logprobs": true,
        "top_logprobs": 2,
        "stream": stream,
    })
}

#[tokio::test]
async fn every_token_comes_with_its_probability_and_its_rivals() {
    let ollama = exact().await;
    let reply = || Reply::Text("Hi you".to_owned());
    ollama.script([reply(), reply(), reply(), reply()]);
    let streamed = lines(&parts(post(&ollama, "/api/chat", &hi(true)).await).await.2);
    let tokens: Vec<&Value> = streamed.iter().map(|line| &line["logprobs"][0]["token"]).collect();
    assert_eq!(tokens, [&json!("Hi"), &json!(" you"), &Value::Null]);
    assert_eq!(streamed[0]["logprobs"][0]["bytes"], json!([72, 105]));
    assert_eq!(streamed[0]["logprobs"][0]["top_logprobs"].as_array().unwrap().len(), 2);

    let whole = post_json(&ollama, "/api/chat", &hi(false)).await;
    assert_eq!(whole["logprobs"], json!([streamed[0]["logprobs"][0], streamed[1]["logprobs"][0]]));

    let of_openai = post_json(&ollama, "/v1/chat/completions", &hi(false)).await;
    assert_eq!(of_openai["choices"][0]["logprobs"]["content"], whole["logprobs"]);
    let body = parts(post(&ollama, "/v1/chat/completions", &hi(true)).await).await.2;
    assert_eq!(body.matches(r#""logprobs":{"content":[{"token":"#).count(), 2, "{body}");
}
