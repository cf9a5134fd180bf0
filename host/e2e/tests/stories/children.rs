//! Jobs that submit jobs and wait for them.

use reqwest::Method;
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
    receiver::Receiver,
};
use serde_json::{Value, json};

use crate::host::{Host, LIMIT, Setup};

/// Rounds of a leaf that keep a slot for a moment.
const WORK: u64 = 60_000_000;

impl Host {
    /// How many children of a job are in this state.
    async fn children_in(&self, id: &str, state: &str) -> usize {
        let job = self.job(id).await;
        let children = job["family"]["children"].as_array().unwrap();
        children.iter().filter(|child| child["state"] == state).count()
    }
}

async fn setup() -> (FakeOllama, Setup) {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url()).more_config("[classes]\nio = 2\n");
    (ollama, setup)
}

#[tokio::test]
async fn a_fan_out_whose_host_was_killed_has_exactly_its_children_and_one_result() {
    let (_ollama, setup) = setup().await;
    let receiver = Receiver::start().await.unwrap();
    let host = setup.start();
    let input = json!({ "children": 20, "work": WORK });
    let id = host
        .submit(&json!({ "kind": "family-gather", "input": input, "callback": receiver.url() }))
        .await;
    let parent = host.until(&id, "blocked").await;
    assert_eq!(parent["family"]["children_count"], 20, "{parent:#}");
    eventually("the children have both slots", LIMIT, async || {
        host.children_in(&id, "working").await == 2
    })
    .await
    .unwrap();
    eventually("some children are done", LIMIT, async || host.children_in(&id, "done").await >= 3)
        .await
        .unwrap();
    host.kill_9().await;
    assert!(receiver.deliveries().is_empty());

    let host = setup.start();
    let job = host.until(&id, "done").await;
    let all: Vec<u32> = (0..20).collect();
    assert_eq!(job["output"], json!({ "results": all, "failures": [] }));
    assert_eq!((&job["attempt"], &job["losses"]), (&json!(1), &json!(0)), "{job:#}");
    let outcomes: Vec<&Value> =
        job["attempts"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["released", "done"], "{job:#}");
    let children = job["family"]["children"].as_array().unwrap();
    assert!(children.iter().all(|child| child["state"] == "done"), "{job:#}");
    let jobs = host.get("/jobs?limit=100").await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 21);
    receiver.wait_for(1, LIMIT).await.unwrap();
    assert_eq!(job["deliveries"].as_array().unwrap().len(), 1, "{job:#}");
}

#[tokio::test]
async fn a_cancelled_job_takes_its_children_with_it() {
    let (_ollama, setup) = setup().await;
    let host = setup.start();
    let input = json!({ "children": 5, "work": u32::MAX });
    let id = host.submit(&json!({ "kind": "family-gather", "input": input })).await;
    host.until(&id, "blocked").await;
    host.send(Method::DELETE, &format!("/jobs/{id}"), "").await;
    assert_eq!(host.children_in(&id, "cancelled").await, 5);
    // The slots of the two that ran are free again, and so is the processor.
    let next = host.submit(&json!({ "kind": "family-gather", "input": {"children": 2} })).await;
    host.until(&next, "done").await;
}

#[tokio::test]
async fn a_family_is_shown_as_a_tree_and_a_failure_is_the_parents_to_judge() {
    let (_ollama, setup) = setup().await;
    let host = setup.start();
    let input = json!({ "children": 3, "fail": [1] });
    let id = host.submit(&json!({ "kind": "family-gather", "input": input })).await;
    let job = host.until(&id, "done").await;
    assert_eq!(job["output"], json!({ "results": [0, 2], "failures": ["withered"] }));
    let shown = host.cli(&["job", "show", &id]).await.out;
    for part in ["FAMILY\n", "✓ this job ←", "├─ ✓ leaf 0", "├─ ✗ leaf 1", "└─ ✓ leaf 2"]
    {
        assert!(shown.contains(part), "`{part}` is missing in:\n{shown}");
    }
    let child = job["family"]["children"][1]["id"].as_str().unwrap();
    let shown = host.cli(&["job", "show", child]).await.out;
    assert!(shown.contains("└─ ✗ leaf 1 ←"), "{shown}");
}

#[tokio::test]
async fn jobs_that_submit_each_other_end_at_the_limit() {
    let (_ollama, setup) = setup().await;
    let host = setup.more_config("[guard]\ndepth-max = 3\n").start();
    let nest = |deeper| json!({ "kind": "family-nest", "input": { "deeper": deeper } });
    let fits = host.submit(&nest(3)).await;
    assert_eq!(host.until(&fits, "done").await["output"], 3);
    let too_deep = host.submit(&nest(4)).await;
    let job = host.until(&too_deep, "failed").await;
    assert_eq!(job["error"]["code"], "too-deep", "{job:#}");
    let message = job["error"]["message"].as_str().unwrap();
    assert!(message.contains("at depth 4") && message.contains("the limit is 3"), "{message}");
}

#[tokio::test]
async fn a_plugin_reads_the_results_that_its_job_needs() {
    let (_ollama, setup) = setup().await;
    let host = setup.start();
    let flow = json!({ "jobs": [
        { "name": "fetch", "kind": "echo", "input": { "title": "x" } },
        { "name": "login", "kind": "fail-fatal", "input": { "code": "broken", "message": "it broke" } },
        { "name": "seen", "kind": "family-needs",
          "needs": ["fetch", { "job": "login", "on_failure": "continue" }] },
    ]});
    let (_, answer) = host.send(Method::POST, "/flows", &flow.to_string()).await;
    let id = answer["jobs"]["seen"].as_str().unwrap_or_else(|| panic!("{answer:#}"));
    let needs = host.until(id, "done").await["output"].clone();
    assert_eq!(needs[0]["name"], "fetch");
    assert_eq!((&needs[0]["state"], &needs[0]["output"]), (&json!("done"), &json!({"title": "x"})));
    assert_eq!((&needs[1]["state"], &needs[1]["output"]), (&json!("failed"), &json!(null)));
    assert!(needs[1]["failure"].is_string(), "{needs:#}");
}
