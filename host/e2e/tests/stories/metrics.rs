//! `host/docs/metrics.md` names what `/metrics` shows.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::StatusCode;
use roughneck_testkit::{
    metrics::Family,
    ollama::{Config, FakeOllama, Pace},
};
use serde_json::json;

use crate::{
    client::http,
    host::{Host, Setup},
};

/// The families of the tables, in their order.
fn documented() -> Vec<Family> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `roughneck_"));
    let family = |row: &str| {
        let mut cells = row.split('|').map(str::trim);
        let name = cells.next()?.strip_suffix('`')?;
        let r#type = cells.next()?.to_owned();
        let labels = cells.next()?.split(", ").map(|label| label.trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned).collect();
        Some(Family { name: format!("roughneck_{name}"), r#type, labels })
    };
    rows.map(|row| family(row).unwrap_or_else(|| panic!("not a row of a family: {row}"))).collect()
}

/// Gives every family something to count.
async fn use_all(host: &Host) {
    let question = json!({
        "model": "qwen3:4b",
        "messages": [{ "role": "user", "content": "Why is the sky blue?" }],
    });
    let request = http().post(format!("{}/api/chat", host.url)).body(question.to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("\"done\":true"));
    let text = "The mill by the river has been closed since the flood of last spring.";
    let id = host.submit(&json!({ "kind": "summarize", "input": { "text": text } })).await;
    host.until(&id, "done").await;
}

#[tokio::test]
async fn the_document_of_the_metrics_names_each_that_is_shown_and_no_other() {
    let timed = Config { pace: Pace::Skipped, ..Config::demo() };
    let ollama = FakeOllama::start(timed).await.unwrap();
    let budget = "\n[budgets.kinds]\nsummarize = 1000000\n";
    let host = Setup::new(&ollama.url()).more_config(budget).start();
    use_all(&host).await;

    let shown: BTreeSet<Family> = host.metrics().await.families().into_iter().collect();
    let documented: BTreeSet<Family> = documented().into_iter().collect();
    let lacking: Vec<&Family> = shown.difference(&documented).collect();
    assert!(lacking.is_empty(), "host/docs/metrics.md lacks, or has otherwise: {lacking:#?}");
    let surplus: Vec<&Family> = documented.difference(&shown).collect();
    assert!(surplus.is_empty(), "host/docs/metrics.md has, but nobody shows: {surplus:#?}");
}

#[tokio::test]
async fn the_job_that_caused_a_load_shows_what_it_cost() {
    let ollama = FakeOllama::start(Config::demo()).await.unwrap();
    // The context is the one that the plugin asks for: one load serves both.
    let one_runner =
        "\n[ollama]\naliases = { default = \"qwen3:4b\" }\nnum-ctx = { \"qwen3:4b\" = 8192 }\n";
    let host = Setup::new(&ollama.url()).more_config(one_runner).start();
    use_all(&host).await;
    let jobs = host.get("/jobs?state=done").await;
    let of = |kind: &str| {
        let job = jobs["jobs"].as_array().unwrap().iter().find(|job| job["kind"] == kind).unwrap();
        job["id"].as_str().unwrap().to_owned()
    };
    let load_ms = async |kind: &str| {
        host.get(&format!("/jobs/{}", of(kind))).await["usage"]["load_ms"].as_u64().unwrap()
    };
    let model_load_ms = Config::demo().models[0].load_time.as_millis();
    let (caused, spared) = (load_ms("ollama.call").await, load_ms("summarize").await);
    assert!(u128::from(caused) >= model_load_ms, "{caused} ms");
    assert!(u128::from(spared) < model_load_ms, "{spared} ms");
}
