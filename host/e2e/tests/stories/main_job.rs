//! The main job: submitted, run in the sandbox against Ollama, and back.

use roughneck_testkit::{
    ollama::{Config, FakeOllama},
    receiver::{Receiver, verify},
    sse::Event,
};
use serde_json::json;

use crate::{
    client::{data, text},
    host::{LIMIT, Setup},
};

const TEXT: &str = "The mill stands by the river. It grinds the grain of nine villages. \
                    In the dry summer of 1911 its wheel stood still for seven weeks.";

#[tokio::test]
async fn a_text_is_summarised_and_everybody_who_waits_is_told() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();

    let id = host
        .submit(&json!({
            "kind": "summarize",
            "input": { "text": TEXT, "max_points": 2 },
            "callback": { "url": receiver.url() },
        }))
        .await;
    let events = host.events(&id, None).await.until(|event| event.name == "end").await;
    let states: Vec<_> = events
        .iter()
        .filter(|event| event.name == "state")
        .map(|event| data(event)["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states.first().map(String::as_str), Some("queued"), "{states:?}");
    assert_eq!(states.last().map(String::as_str), Some("done"), "{states:?}");
    assert!(states.iter().any(|state| state == "loading"), "{states:?}");

    let job = host.job(&id).await;
    assert!(job["output"]["summary"].as_str().unwrap().contains("simulated"), "{job:#}");
    assert!(job["output"]["key_points"].as_array().unwrap().len() <= 2, "{job:#}");
    assert_eq!((&job["state"], &job["attempt"]), (&json!("done"), &json!(1)));
    for figure in ["input_tokens", "output_tokens"] {
        assert!(job["usage"][figure].as_u64().unwrap() > 0, "{figure}: {job:#}");
    }
    assert_eq!(job["usage"]["calls"], 1, "{job:#}");

    let delivery = receiver.wait_for(1, LIMIT).await.unwrap().remove(0);
    verify(&setup.secret(), &delivery.headers, &delivery.body).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["id"]), (&json!("job.done"), &json!(id)));
    assert_eq!(body["data"]["output"], job["output"]);
}

#[tokio::test]
async fn an_event_stream_that_broke_off_goes_on_where_it_was() {
    let mut config = Config::demo();
    for model in &mut config.models {
        model.load_time = std::time::Duration::ZERO;
    }
    let ollama = FakeOllama::start(config).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": TEXT } })).await;
    let first = host.events(&id, None).await.until(|event| event.name == "token").await;
    let seen = first.last().unwrap().id.clone().unwrap();
    let rest = host.events(&id, Some(&seen)).await.until(|event| event.name == "end").await;
    // No state comes twice, and the pieces of both streams make one answer.
    let states = first.iter().chain(&rest).filter(|event| event.name == "state");
    let mut ids: Vec<_> = states.map(|event| event.id.clone().unwrap()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "{ids:?}");
    let offset = |event: &Event| data(event)["offset"].as_u64().unwrap();
    let next = rest.iter().find(|event| event.name == "token").unwrap();
    assert_eq!(offset(next), text(&first).len() as u64, "the text goes on where it was cut");
    let answer = format!("{}{}", text(&first), text(&rest));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["title"], host.job(&id).await["output"]["title"]);
}

#[tokio::test]
async fn an_error_is_classified_within_its_taxonomy() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let trace =
        "psycopg2.OperationalError: could not connect to the database server: timeout expired";
    let id = host.submit(&json!({ "kind": "classify-error", "input": { "trace": trace } })).await;
    let output = host.until(&id, "done").await["output"].clone();
    let known = ["database", "network", "timeout"];
    assert!(known.contains(&output["category"].as_str().unwrap()), "{output}");
    assert!(!output["reason"].as_str().unwrap().is_empty(), "{output}");
}

#[tokio::test]
async fn the_numbers_of_a_job_are_in_the_metrics() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    assert_eq!(host.metric("roughneck_attempts_total{outcome=\"done\"}").await, Some(0.0));
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": TEXT } })).await;
    let usage = host.until(&id, "done").await["usage"].clone();
    assert_eq!(host.metric("roughneck_attempts_total{outcome=\"done\"}").await, Some(1.0));
    assert_eq!(host.metric("roughneck_upstream_up").await, Some(1.0));
    for (r#type, field) in [("input", "input_tokens"), ("output", "output_tokens")] {
        let series = format!("roughneck_tokens_total{{plugin=\"summarize\",type=\"{type}\"}}");
        assert_eq!(host.metric(&series).await, usage[field].as_f64(), "{series}");
    }
    assert_eq!(host.metric("roughneck_requests_total{source=\"client\"}").await, None);
}
