use reqwest::Method;
use roughneck_testkit::ollama::Reply;
use serde_json::{Value, json};

use crate::client::{exact, lines, parts, post, post_json, request, without_times};

fn asking(content: &str) -> Value {
    json!({
        "model": "qwen3:4b",
        "messages": [{"role": "user", "content": content}],
        "tools": [{"type": "function", "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"days": {"type": "integer"}, "city": {"const": "Paris"}},
                "required": ["city"],
            },
        }}],
    })
}

#[tokio::test]
async fn a_tool_that_the_prompt_names_is_called_with_these_very_bytes() {
    let ollama = exact().await;
    // Text, because the order of a schema's properties is the order of the arguments.
    let text = asking("Use get_weather.").to_string();
    let (city, days) = (r#""city":{"const":"Paris"}"#, r#""days":{"type":"integer"}"#);
    let text = text.replace(&format!("{city},{days}"), &format!("{days},{city}"));
    let response = request(&ollama, Method::POST, "/api/chat").body(text).send().await.unwrap();
    let body = without_times(&parts(response).await.2);
    let (call, end) = body.split_once('\n').unwrap();
    let expected = concat!(
        r#"{"model":"qwen3:4b","created_at":"T","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_"#,
        r#"12345678","function":{"index":0,"name":"get_weather","arguments":{"days":1,"city":"Paris"}}}]},"done":false}"#
    );
    let id = &call[call.find("call_").unwrap()..][5..13];
    assert_eq!(call.replace(id, "12345678"), expected);
    assert!(end.contains(r#""content":""},"done":true,"done_reason":"stop""#), "{end}");
    // Three pieces for the name, fifteen for the arguments, one for the end.
    assert!(end.contains(r#""eval_count":19,"#), "{end}");
}

#[tokio::test]
async fn no_tool_is_called_unless_it_is_named_and_once_its_result_is_there() {
    let ollama = exact().await;
    let body = lines(&parts(post(&ollama, "/api/chat", &asking("Hi")).await).await.2);
    assert_eq!(body[0]["message"]["content"], "[");
    let mut answered = asking("Use get_weather.");
    let messages = answered["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": "", "tool_calls": [
        {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}},
    ]}));
    messages.push(json!({"role": "tool", "tool_name": "get_weather", "content": "18 degrees"}));
    answered["stream"] = json!(false);
    let body = post_json(&ollama, "/api/chat", &answered).await;
    let text = body["message"]["content"].as_str().unwrap();
    assert!(text.contains("18 degrees"), "{text}");
    assert_eq!(body["message"]["tool_calls"], Value::Null);
}

#[tokio::test]
async fn several_calls_can_be_dictated() {
    let ollama = exact().await;
    let call = |name: &str| (name.to_owned(), r#"{"b":1,"a":2}"#.to_owned());
    ollama.script([Reply::ToolCalls(vec![call("one"), call("two")])]);
    let mut body = asking("Hi");
    body["stream"] = json!(false);
    let body = parts(post(&ollama, "/api/chat", &body).await).await.2;
    assert!(body.contains(r#""index":0,"name":"one","arguments":{"b":1,"a":2}"#), "{body}");
    assert!(body.contains(r#""index":1,"name":"two""#), "{body}");
}

#[tokio::test]
async fn openais_shape_has_the_arguments_in_a_string_and_a_reason_of_its_own() {
    let ollama = exact().await;
    let mut asked = asking("Use get_weather.");
    let whole = post_json(&ollama, "/v1/chat/completions", &asked).await;
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let called = &choice["message"]["tool_calls"][0];
    assert_eq!((&called["index"], &called["type"]), (&json!(0), &json!("function")));
    assert_eq!(called["function"]["arguments"], r#"{"city":"Paris","days":1}"#);

    asked["stream"] = json!(true);
    let body = parts(post(&ollama, "/v1/chat/completions", &asked).await).await.2;
    let head = r#""delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_"#;
    assert!(body.contains(head), "{body}");
    assert!(body.contains(r#""delta":{},"finish_reason":"tool_calls""#), "{body}");

    // A message of calls has no content; the result comes as a message of the role `tool`.
    let messages = asked["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": [called]}));
    messages.push(json!({"role": "tool", "tool_call_id": called["id"], "content": "18 degrees"}));
    asked["stream"] = json!(false);
    let answer = post_json(&ollama, "/v1/chat/completions", &asked).await;
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.contains("18 degrees"), "{text}");
}
