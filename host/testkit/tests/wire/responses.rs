use reqwest::{Method, header::CONTENT_ENCODING};
use roughneck_testkit::{ollama::Reply, sse};
use serde_json::{Value, json};

use crate::client::{exact, parts, post, post_json, request};

fn events(body: &str) -> Vec<(String, Value)> {
    let read = sse::Reader::default().push(body.as_bytes());
    let data = |event: &sse::Event| serde_json::from_str(&event.data).unwrap();
    read.iter().map(|event| (event.name.clone(), data(event))).collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.strip_prefix("response.").unwrap()).collect()
}

fn weather(input: &Value) -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"const": "Paris"}}});
    json!({
        "model": "qwen3:4b",
        "input": input,
        "tools": [{"type": "function", "name": "get_weather", "parameters": parameters}],
    })
}

#[tokio::test]
async fn a_whole_response_repeats_what_it_was_asked_with() {
    let ollama = exact().await;
    ollama.script([Reply::Text("Hi you".to_owned())]);
    let asked = json!({
        "model": "qwen3:4b", "input": "Hi", "instructions": "Be brief.", "max_output_tokens": 9,
    });
    let (status, _, body) = parts(post(&ollama, "/v1/responses", &asked).await).await;
    assert_eq!(status, 200);
    assert!(body.starts_with(r#"{"id":"resp_0","object":"response","created_at":"#), "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["status"], &body["instructions"]),
        (&json!("completed"), &json!("Be brief."))
    );
    assert_eq!(body["max_output_tokens"], 9);
    assert_eq!(body["output"][0]["content"][0]["text"], "Hi you");
    // 4 + 3 pieces of the instructions, 4 + 1 of the input.
    assert_eq!(body["usage"]["input_tokens"], 12);
    assert_eq!(body["usage"]["output_tokens"], 3);
}

#[tokio::test]
async fn a_streamed_response_is_numbered_events_of_items_that_begin_and_end() {
    let ollama = exact().await;
    ollama.script([Reply::Text("Hi you".to_owned())]);
    let asked = json!({"model": "qwen3:4b", "input": "Hi", "stream": true});
    let (_, content_type, body) = parts(post(&ollama, "/v1/responses", &asked).await).await;
    assert_eq!(content_type, "text/event-stream");
    let events = events(&body);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(names(&events), expected);
    for (place, (name, data)) in events.iter().enumerate() {
        assert_eq!((&data["sequence_number"], &data["type"]), (&json!(place), &json!(name)));
    }
    let last = &events.last().unwrap().1["response"];
    assert_eq!((&last["status"], &last["usage"]["total_tokens"]), (&json!("completed"), &json!(8)));
    assert_eq!(last["output"][0]["content"][0]["text"], "Hi you");
}

#[tokio::test]
async fn thoughts_and_calls_are_items_of_their_own() {
    let ollama = exact().await;
    let mut asked = weather(&json!("Use get_weather."));
    asked["reasoning"] = json!({"effort": "low"});
    asked["stream"] = json!(true);
    let body = parts(post(&ollama, "/v1/responses", &asked).await).await.2;
    let events = events(&body);
    let ends = names(&events);
    let ends: Vec<&str> = ends.into_iter().filter(|name| name.ends_with("done")).collect();
    let expected = [
        "reasoning_summary_text.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
    ];
    assert_eq!(ends, expected);
    let output = &events.last().unwrap().1["response"]["output"];
    assert_eq!(
        (&output[0]["type"], &output[1]["type"]),
        (&json!("reasoning"), &json!("function_call"))
    );
    assert_eq!(output[1]["arguments"], r#"{"city":"Paris"}"#);

    let call = output[1].clone();
    let result =
        json!({"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"});
    let answered = weather(&json!([{"role": "user", "content": "Use get_weather."}, call, result]));
    let body = post_json(&ollama, "/v1/responses", &answered).await;
    let text = body["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("18 degrees"), "{text}");
}

#[tokio::test]
async fn a_body_may_be_packed() {
    let ollama = exact().await;
    let body = br#"{"model":"qwen3:4b","input":"Hi"}"#;
    // A frame with its size in one byte, and one last block that is not packed at all.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, u8::try_from(body.len()).unwrap()];
    frame.extend(&((u32::try_from(body.len()).unwrap() << 3) | 1).to_le_bytes()[..3]);
    frame.extend(body);
    let packed = |bytes: Vec<u8>| {
        let request = request(&ollama, Method::POST, "/v1/responses").body(bytes);
        request.header(CONTENT_ENCODING, "zstd").send()
    };
    assert_eq!(packed(frame).await.unwrap().status(), 200);
    let (status, _, body) = parts(packed(body.to_vec()).await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(body.contains("failed to decompress zstd body"), "{body}");
}

#[tokio::test]
async fn input_of_an_unknown_kind_is_refused_by_its_place() {
    let ollama = exact().await;
    let hi = json!({"role": "user", "content": "Hi"});
    let table = [
        (json!([hi, {"type": "song"}]), "input[1]: unknown input item type: \"song\""),
        (json!([{}]), "input[0]: input item missing required 'type' field"),
        (json!(5), "input must be a string or array"),
    ];
    for (input, message) in table {
        let asked = json!({"model": "qwen3:4b", "input": input});
        let response = post(&ollama, "/v1/responses", &asked).await;
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["message"], message);
    }
}
