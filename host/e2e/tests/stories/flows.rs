//! Flows: jobs that wait for each other.

use reqwest::{Method, StatusCode};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Reply},
};
use serde_json::{Value, json};

use crate::{
    client::in_300_days,
    host::{Host, LIMIT, Setup},
};

impl Host {
    /// Submits a flow that must be accepted, and returns what the host answers.
    async fn submit_flow(&self, body: &Value) -> Value {
        let (status, answer) = self.send(Method::POST, "/flows", &body.to_string()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
        answer
    }

    /// Waits until the flow is over, and returns it.
    async fn over(&self, id: &Value) -> Value {
        let path = format!("/flows/{}", id.as_str().unwrap());
        let over = eventually("the flow is over", LIMIT, async || {
            self.get(&path).await["state"] != "running"
        });
        if let Err(late) = over.await {
            panic!("{late}; it is {:#}", self.get(&path).await);
        }
        self.get(&path).await
    }
}

/// A newsletter: some texts are summarized, a letter is made of what came of them, and it is sent.
fn newsletter(texts: &[&str]) -> Value {
    let segments: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| json!({"name": format!("segment-{n}"), "kind": "summarize", "input": {"text": text}}))
        .collect();
    let needs: Vec<Value> = (0..texts.len())
        .map(|n| json!({"job": format!("segment-{n}"), "on_failure": "continue"}))
        .collect();
    let titles: Vec<Value> = (0..texts.len())
        .map(|n| json!({"$result": format!("segment-{n}"), "at": "/title", "else": null}))
        .collect();
    let letter =
        json!({"name": "letter", "kind": "echo", "needs": needs, "input": {"titles": titles}});
    let send = json!({
        "name": "send", "kind": "echo", "needs": ["letter"],
        "input": {"subject": "This week", "body": {"$result": "letter"}},
    });
    let jobs = [segments, vec![letter, send]].concat();
    json!({ "name": "newsletter", "jobs": jobs })
}

#[tokio::test]
async fn one_bad_segment_does_not_stop_the_newsletter_and_can_be_mended_later() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    // The lane is one job wide, so the first call is the first segment's.
    ollama.script([Reply::Status(400, r#"{"error":"invalid model name"}"#.into())]);
    let host = Setup::new(&ollama.url()).start();
    let texts = ["It rained for nine days.", "The bridge held.", "The mill did not."];
    let accepted = host.submit_flow(&newsletter(&texts)).await;

    let flow = host.over(&accepted["id"]).await;
    assert_eq!(flow["counts"], json!({"done": 4, "failed": 1}), "{flow:#}");
    assert_eq!(flow["state"], "failed", "a failure that is not ignored counts: {flow:#}");
    let jobs = flow["jobs"].as_array().unwrap();
    let failed = jobs.iter().find(|job| job["state"] == "failed").unwrap();
    assert_eq!(jobs[3]["needs"].as_array().unwrap().len(), 3);

    let send = host.job(accepted["jobs"]["send"].as_str().unwrap()).await;
    let titles = send["output"]["body"]["titles"].as_array().unwrap();
    assert_eq!(titles.iter().filter(|title| title.is_null()).count(), 1, "{send:#}");
    assert_eq!(titles.iter().filter(|title| title.is_string()).count(), 2, "{send:#}");
    assert_eq!(send["output"]["subject"], "This week");
    assert_eq!(send["input"]["body"], json!({"$result": "letter"}), "what was submitted is kept");

    let path = format!("/flows/{}/retry", accepted["id"].as_str().unwrap());
    let (status, answer) = host.send(Method::POST, &path, "").await;
    assert_eq!((status, &answer["retried"]), (StatusCode::ACCEPTED, &json!(1)), "{answer}");
    let flow = host.over(&accepted["id"]).await;
    assert_eq!(flow["state"], "done", "{flow:#}");
    host.until(failed["id"].as_str().unwrap(), "done").await;
}

#[tokio::test]
async fn a_failure_fails_what_needs_it_and_a_retry_brings_all_of_it_back() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Status(400, r#"{"error":"invalid model name"}"#.into())]);
    let host = Setup::new(&ollama.url()).start();
    let accepted = host
        .submit_flow(&json!({"jobs": [
            {"name": "sum", "kind": "summarize", "input": {"text": "It rained."}},
            {"name": "next", "kind": "echo", "needs": ["sum"], "input": {"$result": "sum", "at": "/title"}},
            {"name": "last", "kind": "echo", "needs": ["next"], "input": {"$result": "next"}},
        ]}))
        .await;
    let flow = host.over(&accepted["id"]).await;
    assert_eq!(flow["counts"], json!({"failed": 3}), "{flow:#}");
    let last = accepted["jobs"]["last"].as_str().unwrap();
    let job = host.job(last).await;
    assert_eq!(job["error"]["code"], "dependency-failed");
    assert_eq!(job["flow"]["name"], "last");
    let (status, problem) = host.send(Method::POST, &format!("/jobs/{last}/retry"), "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("needs-failed")));

    let sum = accepted["jobs"]["sum"].as_str().unwrap();
    let (status, _) = host.send(Method::POST, &format!("/jobs/{sum}/retry"), "").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let flow = host.over(&accepted["id"]).await;
    assert_eq!(flow["state"], "done", "{flow:#}");
    assert!(host.job(last).await["output"].is_string());
}

#[tokio::test]
async fn a_flow_whose_host_was_killed_in_the_middle_goes_on_and_nothing_runs_before_what_it_needs()
{
    let mut config = Config::demo();
    for model in &mut config.models {
        model.decode_tokens_per_s = Some(60.0);
    }
    let ollama = FakeOllama::start(config).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let texts = ["Rain fell for nine days. The bridge held.", "The mill did not hold at all."];
    let accepted = host.submit_flow(&newsletter(&texts)).await;
    // It is in the middle of a model's answer when it dies.
    let first = accepted["jobs"]["segment-0"].as_str().unwrap();
    host.until(first, "working").await;
    host.events(first, None).await.until(|event| event.name == "token").await;
    host.kill_9().await;

    let host = setup.start();
    let path = format!("/flows/{}", accepted["id"].as_str().unwrap());
    let flow = host.get(&path).await;
    assert_eq!((&flow["state"], &flow["counts"]["blocked"]), (&json!("running"), &json!(2)));
    let flow = host.over(&accepted["id"]).await;
    assert_eq!(flow["counts"], json!({"done": 4}), "{flow:#}");
    let at = |name: &str, member: &str| {
        let jobs = flow["jobs"].as_array().unwrap();
        let job = jobs.iter().find(|job| job["name"] == name).unwrap();
        job[member].as_str().unwrap().to_owned()
    };
    for (needed, job) in [("segment-0", "letter"), ("segment-1", "letter"), ("letter", "send")] {
        assert!(at(needed, "finished_at") <= at(job, "started_at"), "{flow:#}");
    }
    let job = host.job(first).await;
    assert_eq!(job["losses"], 1, "{job:#}");
}

#[tokio::test]
async fn a_cancelled_flow_stops_at_once_and_the_same_id_is_the_same_flow() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let body = json!({"id": "01K9Z4T8N6Q0V5W3X2Y1R7S9AB", "jobs": [
        {"name": "later", "kind": "echo", "run_at": in_300_days()},
        {"name": "then", "kind": "echo", "needs": ["later"]},
    ]});
    let accepted = host.submit_flow(&body).await;
    let (status, again) = host.send(Method::POST, "/flows", &body.to_string()).await;
    assert_eq!((status, &again["jobs"]), (StatusCode::OK, &accepted["jobs"]), "{again:#}");
    let path = "/flows/01K9Z4T8N6Q0V5W3X2Y1R7S9AB";
    let (status, flow) = host.send(Method::DELETE, path, "").await;
    assert_eq!((status, &flow["state"]), (StatusCode::OK, &json!("cancelled")), "{flow:#}");
    assert_eq!(flow["counts"], json!({"cancelled": 2}));
    let (status, problem) = host.send(Method::DELETE, path, "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already-ended")));
    assert_eq!(host.get("/flows").await["flows"][0]["id"], "01K9Z4T8N6Q0V5W3X2Y1R7S9AB");
}

#[tokio::test]
async fn a_thousand_jobs_join_in_one() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let mut jobs: Vec<Value> =
        (0..1_000).map(|n| json!({"name": format!("n{n}"), "kind": "echo", "input": n})).collect();
    let needs: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
    let results: Vec<Value> = needs.iter().map(|name| json!({ "$result": name })).collect();
    jobs.push(json!({"name": "all", "kind": "echo", "needs": needs, "input": results}));
    let accepted = host.submit_flow(&json!({ "jobs": jobs })).await;
    let flow = host.over(&accepted["id"]).await;
    assert_eq!(flow["counts"], json!({"done": 1_001}), "{}", flow["counts"]);
    let all = host.job(accepted["jobs"]["all"].as_str().unwrap()).await;
    let expected: Vec<u32> = (0..1_000).collect();
    assert_eq!(all["output"], json!(expected));
}
