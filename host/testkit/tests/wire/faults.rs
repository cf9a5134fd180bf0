use std::time::Duration;

use roughneck_testkit::eventually;
use roughneck_testkit::ollama::Reply;
use serde_json::json;

use crate::client::{DEADLINE, client, exact, get, instant, parts, post, post_json};

#[tokio::test]
async fn an_error_in_mid_stream_is_a_last_line_without_done() {
    let ollama = instant().await;
    let message = "an error was encountered while running the model".to_owned();
    ollama.script([Reply::MidStreamError { after_tokens: 2, message }]);
    let body = json!({"model": "qwen3:4b", "prompt": "Hi"});
    let (status, _, text) = parts(post(&ollama, "/api/generate", &body).await).await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2], r#"{"error":"an error was encountered while running the model"}"#);
}

#[tokio::test]
async fn an_error_before_the_first_byte_has_a_status() {
    let ollama = instant().await;
    let early = |after_tokens| Reply::MidStreamError { after_tokens, message: "boom".to_owned() };
    ollama.script([early(0), early(2), Reply::Status(503, r#"{"error":"x"}"#.to_owned())]);
    let streamed = json!({"model": "qwen3:4b", "prompt": "Hi"});
    let whole = json!({"model": "qwen3:4b", "prompt": "Hi", "stream": false});
    for (body, status, text) in [
        (&streamed, 500, r#"{"error":"boom"}"#),
        (&whole, 500, r#"{"error":"boom"}"#),
        (&streamed, 503, r#"{"error":"x"}"#),
    ] {
        let got = parts(post(&ollama, "/api/generate", body).await).await;
        assert_eq!((got.0, got.2.as_str()), (status, text));
    }
}

#[tokio::test]
async fn a_truncated_stream_ends_without_done_and_without_error() {
    let ollama = instant().await;
    ollama.script([Reply::Truncate { after_tokens: 3 }, Reply::Truncate { after_tokens: 0 }]);
    let body = json!({"model": "qwen3:4b", "prompt": "Hi"});
    let text = parts(post(&ollama, "/api/generate", &body).await).await.2;
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().all(|line| line.ends_with(r#""done":false}"#)), "{text}");
    let (status, _, text) = parts(post(&ollama, "/api/generate", &body).await).await;
    assert_eq!((status, text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_disconnect_cuts_the_connection_in_the_middle() {
    let ollama = instant().await;
    ollama.script([Reply::Disconnect { after_tokens: 2 }, Reply::Disconnect { after_tokens: 0 }]);
    let url = format!("{}/api/generate", ollama.url());
    let body = json!({"model": "qwen3:4b", "prompt": "Hi"}).to_string();
    let response = client().post(&url).body(body.clone()).send().await.unwrap();
    assert!(response.text().await.is_err(), "the body must not end properly");
    assert!(client().post(&url).body(body).send().await.is_err(), "there must be no answer");
    assert!(ollama.log().iter().all(|entry| entry.ended_at.is_some() && !entry.client_left));
}

#[tokio::test]
async fn refusing_and_failing_are_switches() {
    let ollama = instant().await;
    let body = json!({"model": "qwen3:4b", "prompt": "Hi", "stream": false});
    ollama.faults().refuse(true);
    let (status, _, text) = parts(post(&ollama, "/api/generate", &body).await).await;
    assert_eq!(status, 503);
    assert_eq!(
        text,
        r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#
    );
    assert_eq!(get(&ollama, "/api/version").await["version"], "0.33.0");
    ollama.faults().refuse(false);
    ollama.faults().fail_next(2);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(post(&ollama, "/api/generate", &body).await.status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200]);
}

#[tokio::test]
async fn a_hanging_server_accepts_and_never_answers() {
    let ollama = instant().await;
    ollama.faults().hang(true);
    let hung = client().get(format!("{}/api/version", ollama.url()));
    let hung = hung.timeout(Duration::from_millis(100)).send().await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(ollama.log()[0].path, "/api/version");
    eventually("it sees the client leave", DEADLINE, async || ollama.log()[0].client_left)
        .await
        .unwrap();
    ollama.faults().hang(false);
    assert_eq!(get(&ollama, "/api/version").await["version"], "0.33.0");
}

#[tokio::test]
async fn a_mute_server_says_what_it_has_and_does_no_work() {
    let ollama = instant().await;
    ollama.faults().mute(true);
    let body = json!({"model": "qwen3:4b", "prompt": "Hi"}).to_string();
    let work = client().post(format!("{}/api/generate", ollama.url())).body(body);
    let work = work.timeout(Duration::from_millis(100)).send().await;
    assert!(work.unwrap_err().is_timeout());
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));
}

#[tokio::test]
async fn slowness_shows_in_the_figures() {
    let ollama = exact().await;
    ollama.faults().slow(2.0);
    ollama.script([Reply::Text("one".to_owned())]);
    let body = json!({"model": "qwen3:4b", "prompt": "Hi", "stream": false});
    let answer = post_json(&ollama, "/api/generate", &body).await;
    assert_eq!(answer["load_duration"], 3_000_000_000_u64);
    assert_eq!(answer["eval_duration"], 4 * 28_571_429_u64);
}

#[tokio::test]
async fn it_goes_down_with_its_connections_and_comes_back_on_the_same_port() {
    let ollama = instant().await;
    let load = json!({"model": "qwen3:4b"});
    post(&ollama, "/api/generate", &load).await;
    ollama.script([Reply::Stall { after_tokens: 1 }]);
    let body = json!({"model": "qwen3:4b", "prompt": "Hi"});
    let mut cut = post(&ollama, "/api/generate", &body).await;
    cut.chunk().await.unwrap().unwrap();
    let url = format!("{}/api/ps", ollama.url());

    ollama.stop_listening().await;
    assert!(cut.chunk().await.is_err());
    assert!(client().get(&url).send().await.unwrap_err().is_connect());
    assert!(!ollama.log()[1].client_left, "it was the server that left");

    ollama.listen_again().await.unwrap();
    assert_eq!(get(&ollama, "/api/ps").await, json!({"models": []}));
    ollama.shutdown().await;
    assert!(client().get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn dropping_it_closes_the_port() {
    let ollama = instant().await;
    let url = ollama.url();
    drop(ollama);
    eventually("nobody answers", DEADLINE, async || client().get(&url).send().await.is_err())
        .await
        .unwrap();
}
