//! What operators see: who asked, who waits, and who paid for a load.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    clock::Millis,
    ports::gateway::{CallRoute, ClientCall, Gateway as _, Origin, Place},
    priority::Priority,
};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Reply},
};
use serde_json::{Value, json};

use crate::{
    gateway::Visitor,
    stage::{QWEN, SOON, Stage, call},
};

impl Stage {
    /// The status of an answer to this caller.
    async fn answers(
        &self,
        (origin, caller): (Origin, Option<&str>),
        route: CallRoute,
        body: &Value,
    ) -> u16 {
        let caller = caller.map(str::to_owned);
        let body = body.to_string().into();
        let call = ClientCall { route, body, user_agent: None, caller, origin, job: None };
        let place = Place { rank: Millis(0), priority: Priority::HIGH };
        match self.lane.admit(call).await {
            Ok(admitted) => admitted.run(place, Visitor::of(self)).await.status,
            Err(refused) => refused.status,
        }
    }
}

#[tokio::test]
async fn calls_are_told_apart_by_who_asks_and_what_for() {
    let named = |config: &mut Config| config.callers = ["alice".to_owned()].into();
    let stage = Stage::with(ollama::Config::instant(), named).await;
    stage.ask(call(QWEN)).await.unwrap();
    let client = |caller| (Origin::Client, caller);
    let asked = json!({"model": QWEN, "prompt": "hello", "stream": false});
    for asker in [client(Some("alice")), client(Some("mallory")), client(None), (Origin::Job, None)]
    {
        assert_eq!(stage.answers(asker, CallRoute::Generate, &asked).await, 200);
    }
    let unknown = json!({"model": "nobody:1b", "prompt": "hello"});
    assert_eq!(stage.answers(client(None), CallRoute::Completions, &unknown).await, 404);

    let requests = |labels: &str| stage.metric(&format!("roughneck_requests_total{{{labels}}}"));
    for (labels, count) in [
        (r#"source="plugin",plugin="test",caller="",route="/api/chat",outcome="ok""#, 1.0),
        (r#"source="client",plugin="",caller="alice",route="/api/generate",outcome="ok""#, 1.0),
        (r#"source="client",caller="other",outcome="ok""#, 1.0),
        (r#"source="client",caller="anonymous",outcome="ok""#, 1.0),
        (r#"source="client",caller="anonymous",outcome="error""#, 0.0),
        (r#"source="job",caller="anonymous",outcome="ok""#, 1.0),
        (r#"model="other",route="/v1/completions",outcome="rejected""#, 1.0),
    ] {
        assert_eq!(requests(labels), Some(count), "{labels}");
    }
    assert_eq!(requests(r#"caller="mallory""#), None, "anybody can call themselves anything");
    for series in [
        r#"roughneck_tokens_total{source="client",caller="alice",type="output"}"#,
        r#"roughneck_tokens_total{source="plugin",plugin="test",type="input"}"#,
    ] {
        assert!(stage.metric(series).is_some_and(|tokens| tokens > 0.0), "{series}");
    }
    for series in [
        r#"roughneck_queue_wait_seconds_count{priority="high",model="qwen3:4b",source="job"}"#,
        r#"roughneck_request_duration_seconds_count{route="/api/chat",source="plugin",outcome="ok"}"#,
    ] {
        assert_eq!(stage.metric(series), Some(1.0), "{series}");
    }
}

#[tokio::test]
async fn those_who_wait_are_seen_with_their_age_and_their_size() {
    let stage = Arc::new(Stage::new().await);
    stage.ollama.script([Reply::Stall { after_tokens: 1 }]);
    let mut holds = stage.open(call(QWEN)).await.unwrap();
    holds.next().await.unwrap().unwrap();
    let asks = Arc::clone(&stage);
    let waits = tokio::spawn(async move { asks.ask(call(QWEN)).await.map(drop) });
    let age = || stage.metric(r#"roughneck_queue_oldest_age_seconds{priority="normal"}"#);
    let ages = async || age().is_some_and(|age| age > 0.0);
    eventually("it grows old", SOON, ages).await.unwrap();
    let bytes = stage.metric("roughneck_queue_bytes");

    drop(holds);
    waits.await.unwrap().unwrap();
    assert_eq!((age(), stage.metric("roughneck_queue_bytes")), (Some(0.0), Some(0.0)));
    assert_eq!(bytes, Some(stage.bodies("/api/chat")[1].len() as f64));
}

#[tokio::test]
async fn a_load_is_charged_to_the_call_that_caused_it_and_to_no_other() {
    const LOAD: Duration = Duration::from_millis(200);
    let mut simulated = ollama::Config::instant();
    for model in &mut simulated.models {
        model.load_time = LOAD;
    }
    let stage = Stage::with(simulated, |_| {}).await;
    // The second one waits behind the first, whose model is its own, too.
    let (first, second) = tokio::join!(stage.ask(call(QWEN)), stage.ask(call(QWEN)));
    let other = stage.ask(call("fast")).await;
    let [first, second, other] = [first, second, other].map(|asked| {
        let usage = asked.unwrap().1.usage;
        (Duration::from_nanos(usage.load_ns) >= LOAD, Duration::from_nanos(usage.queue_ns) >= LOAD)
    });
    assert_eq!(first, (true, false));
    assert_eq!(second, (false, true), "it waited, and loaded nothing");
    assert_eq!(other, (true, false));
}
