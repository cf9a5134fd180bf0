//! Every interface of the contract, from the guest through the glue to the port.

use roughneck_jobs::{
    failure::Disposition,
    job::LogLevel,
    ports::runner::{Outcome, Standing},
};
use roughneck_testkit::receiver::Receiver;
use serde_json::json;

use crate::world::{Mood, World};

const PROMPT: &str = r#"{"prompt": "count"}"#;

#[tokio::test]
async fn a_guest_learns_the_facts_of_its_run() {
    let world = World::new();
    let facts = world.done("context", r#"{"scope": "mail", "config_key": "tone"}"#).await;
    assert_eq!(facts["job_id"], "01K9Z4T8N6Q0V5W3X2Y1R7S9AB");
    assert_eq!((&facts["attempt"], &facts["max_attempts"]), (&json!(2), &json!(3)));
    assert_eq!(facts["deadline"], json!(1_700_000_005_000_u64));
    assert_eq!((&facts["cancelled"], &facts["trace_parent"]), (&json!(false), &json!("00-1-2-01")));
    assert_eq!(facts["config"], "formal");
    assert!(facts["idempotency_key"].as_str().unwrap().starts_with("01K9Z4T8N6Q0V5W3X2Y1R7S9AB-"));
    let seen = world.supervisor.seen();
    assert_eq!(seen.progress, [(Some(50), "half way".to_owned())]);
    let levels: Vec<LogLevel> = seen.log.iter().map(|line| line.level).collect();
    assert_eq!(levels, [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error]);
}

#[tokio::test]
async fn a_guest_completes_and_streams() {
    let world = World::new();
    let whole = world.done("llm", PROMPT).await;
    assert_eq!((&whole["text"], &whole["model"]), (&json!("one two three"), &json!("default")));
    assert_eq!((&whole["output_tokens"], &whole["load_ms"]), (&json!(3), &json!(7)));
    let streamed = world.done("llm-stream", PROMPT).await;
    assert_eq!((&streamed["text"], &streamed["pieces"]), (&json!("one two three"), &json!(3)));
    let seen = world.supervisor.seen();
    assert_eq!((seen.text.as_str(), seen.usage.calls), ("one two threeone two three", 2));
}

#[tokio::test]
async fn a_job_that_finds_ollama_down_is_postponed() {
    let world = World::new();
    world.llm.is(Mood::Down);
    let outcome = world.run("llm", PROMPT).await;
    let Outcome::Postponed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (failure.code.as_str(), failure.disposition),
        ("ollama-unavailable", Disposition::Retry)
    );
}

#[tokio::test]
async fn a_guest_reaches_a_granted_host() {
    let receiver = Receiver::start().await.unwrap();
    let world = World::new();
    let fetched = world.done("http-get", &json!({ "url": receiver.url() }).to_string()).await;
    assert_eq!(fetched["status"], 204);
    assert_eq!(receiver.deliveries().len(), 1);
}

#[tokio::test]
async fn a_refusal_reaches_the_guest_with_its_code() {
    let world = World::new();
    let failure = world.failed("http-get", r#"{"url": "ftp://a.example/"}"#).await;
    assert_eq!(
        (failure.code.as_str(), failure.disposition),
        ("invalid-request", Disposition::Fail)
    );
}

#[tokio::test]
async fn state_outlives_a_run() {
    let world = World::new();
    world.done("kv-put", r#"{"key": "a", "value": {"n": 1}}"#).await;
    assert_eq!(world.done("kv-get", r#"{"key": "a"}"#).await["value"]["n"], 1);
}

#[tokio::test]
async fn a_notification_reaches_the_supervisor() {
    let world = World::new();
    world.done("notify", r#"{"target": "alerts", "event": "e.x", "data": {"a": 1}}"#).await;
    let notices = world.supervisor.seen().notices;
    assert_eq!((notices[0].target.as_str(), notices[0].event.as_str()), ("alerts", "e.x"));
    assert_eq!(notices[0].data, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_run_that_lost_its_job_causes_nothing() {
    let world = World::new();
    world.supervisor.stand(Standing::Fenced);
    for (kind, input) in [
        ("llm", PROMPT),
        ("kv-put", r#"{"key": "a", "value": 1}"#),
        ("notify", r#"{"target": "alerts", "event": "e", "data": 1}"#),
        ("http-get", r#"{"url": "http://127.0.0.1:9/"}"#),
    ] {
        assert_eq!(world.failed(kind, input).await.code, "fenced", "{kind}");
    }
    let seen = world.supervisor.seen();
    assert!(seen.text.is_empty() && seen.notices.is_empty() && seen.log.is_empty());
}

#[tokio::test]
async fn a_guest_s_own_failures_keep_what_it_said() {
    let world = World::new();
    let input =
        r#"{"code": "busy", "message": "Later.", "retry_after_ms": 1500, "detail": {"a": 1}}"#;
    for (kind, disposition, retry_after_ms) in [
        ("fail-retry", Disposition::Retry, Some(1500)),
        ("fail-fatal", Disposition::Fail, None),
        ("cancel", Disposition::Cancel, None),
    ] {
        let failure = world.failed(kind, input).await;
        assert_eq!(
            (failure.disposition, failure.retry_after_ms),
            (disposition, retry_after_ms),
            "{kind}"
        );
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("busy", "Later."));
        assert_eq!(failure.detail.as_deref(), Some(r#"{"a":1}"#));
    }
}
