//! Token budgets: who is refused, who waits, and what is remembered.

use std::process::Command;

use jiff::{Timestamp, tz::TimeZone};
use reqwest::{StatusCode, header::LOCATION};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::http,
    host::{Host, LIMIT, Setup},
};

const MODEL: &str = "qwen3:4b";

/// Budgets of a day that neither begins nor ends while a test runs: its zone is one in which it is far from midnight.
fn budgets(table: &str) -> String {
    let hour = Timestamp::now().to_zoned(TimeZone::UTC).hour();
    let zone = if (6..18).contains(&hour) { "UTC" } else { "Etc/GMT+12" };
    format!("\n[budgets]\nreset-zone = \"{zone}\"\n{table}\n")
}

/// One caller may use so much.
fn alice() -> String {
    budgets("callers = { alice = 2000 }")
}

/// What a client gets: the status, how long it is to wait, and the body.
struct Told {
    status: StatusCode,
    retry_after_s: Option<u64>,
    body: Value,
}

async fn ask(url: String, caller: &'static str, num_predict: u64) -> Told {
    let body = json!({
        "model": MODEL, "stream": false, "options": {"num_predict": num_predict},
        "messages": [{"role": "user", "content": "hello"}],
    });
    let request = http().post(format!("{url}/api/chat")).header("x-roughneck-caller", caller);
    let response = request.body(body.to_string()).send().await.unwrap();
    let status = response.status();
    let retry_after = response.headers().get("retry-after");
    let retry_after_s = retry_after.map(|value| value.to_str().unwrap().parse().unwrap());
    Told { status, retry_after_s, body: response.json().await.unwrap() }
}

fn tokens(body: &Value) -> u64 {
    body["prompt_eval_count"].as_u64().unwrap() + body["eval_count"].as_u64().unwrap()
}

impl Host {
    async fn budget(&self, subject: &str) -> Value {
        let all = self.get("/budgets").await;
        let budgets = all["budgets"].as_array().unwrap();
        budgets.iter().find(|budget| budget["subject"] == subject).unwrap().clone()
    }

    /// Waits until the job is over or put off, and returns it.
    async fn rests(&self, id: &str) -> Value {
        let rests = async || {
            let state = self.job(id).await["state"].clone();
            state == "done" || state == "scheduled" || state == "failed"
        };
        eventually("the job is over or put off", LIMIT, rests).await.unwrap();
        self.job(id).await
    }

    /// A call to come back for: the id of its job.
    async fn call_later(&self) -> String {
        let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hello"}]});
        let request = http().post(format!("{}/api/chat", self.url));
        let request = request.header("prefer", "respond-async").body(body.to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let path = response.headers()[LOCATION].to_str().unwrap();
        path.rsplit('/').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn sixty_four_clients_at_once_never_use_more_than_their_caller_has() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).more_config(&alice()).start();
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        calls.spawn(ask(host.url.clone(), "alice", 40));
    }
    let (mut used, mut refused) = (0, 0);
    while let Some(told) = calls.join_next().await {
        let Told { status, retry_after_s, body } = told.unwrap();
        if status == StatusCode::OK {
            used += tokens(&body);
        } else {
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
            assert!(retry_after_s.is_some(), "{body}");
            refused += 1;
        }
    }
    let budget = host.budget("alice").await;
    assert_eq!(budget["spent"], used, "{budget}");
    assert!(used <= 2000 && refused > 0, "{used} used, {refused} refused");
    assert_eq!(budget["reserved"], 0);
    // One after another, until there is nothing left of the day.
    let last = loop {
        let told = ask(host.url.clone(), "alice", 40).await;
        match told.status {
            StatusCode::OK => used += tokens(&told.body),
            _ => break told,
        }
    };
    assert!(used <= 2000, "{used}");
    assert!(last.retry_after_s.unwrap() <= 86_400);
    let sentence = last.body["error"].as_str().unwrap();
    assert!(sentence.starts_with("the token budget of the caller `alice` has no room until 20"));
    // Nobody else pays for it.
    assert_eq!(ask(host.url.clone(), "bob", 40).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_was_used_today_is_still_used_after_a_restart() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url()).more_config(&alice());
    let host = setup.start();
    let used = tokens(&ask(host.url.clone(), "alice", 40).await.body);
    assert_eq!(host.budget("alice").await["spent"], used);
    host.signal("TERM");
    assert!(host.wait().await.success());
    let host = setup.start();
    let budget = host.budget("alice").await;
    assert_eq!((&budget["spent"], &budget["limit"]), (&json!(used), &json!(2000)));
    let remaining = r#"roughneck_budget_remaining_tokens{scope="caller",subject="alice"}"#;
    assert_eq!(host.metric(remaining).await, Some((2000 - used) as f64));

    let shown =
        Command::new(crate::host::binary()).args(["budget", "--url", &host.url]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("caller  alice  2000"), "{shown}");
}

#[tokio::test]
async fn a_job_over_the_budget_of_its_kind_waits_for_the_next_day_and_says_so() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let budgets = budgets("kinds = { \"ollama.call\" = 300 }");
    let host = Setup::new(&ollama.url()).more_config(&budgets).start();
    let mut done = 0;
    let waiting = loop {
        let id = host.call_later().await;
        let job = host.rests(&id).await;
        match job["state"].as_str() {
            Some("done") => done += 1,
            _ => break job,
        }
        assert!(done < 10, "{job:#}");
    };
    assert!(done > 0);
    assert_eq!((&waiting["state"], &waiting["attempt"]), (&json!("scheduled"), &json!(0)));
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.contains("the token budget of the kind `ollama.call` has no room until 20"));
    let renewed = host.get("/budgets").await["resets_at"].as_str().unwrap().to_owned();
    let (run_at, resets_at) = (waiting["run_at"].as_str().unwrap(), renewed.as_str());
    assert!(run_at >= &resets_at[..16], "{run_at} and {resets_at}");
    assert!(host.budget("ollama.call").await["spent"].as_u64().unwrap() <= 300);
}

#[tokio::test]
async fn the_jobs_of_a_schedule_go_on_the_account_of_whom_it_is_for_until_it_is_for_nobody() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let config = budgets("callers = { alice = 4000 }");
    let host = Setup::new(&ollama.url()).more_config(&config).start();
    let input = json!({ "text": "Rain fell for nine days. The bridge held." }).to_string();
    let definition = ["summarize", "0 3 * * *", "--input", &input];
    let create =
        [&["schedule", "create", "nightly"], &definition[..], &["--paused", "--caller", "alice"]];
    host.cli(&create.concat()).await.exits(0);
    let run = ["schedule", "run", "nightly"];
    let mut done = 0;
    let waiting = loop {
        let id = host.cli(&run).await.exits(0).out;
        let job = host.rests(id.trim()).await;
        assert_eq!(job["caller"], "alice");
        match job["state"].as_str() {
            Some("done") => done += 1,
            _ => break job,
        }
        assert!(done < 40, "{job:#}");
    };
    assert!(done > 0, "{waiting:#}");
    assert_eq!((&waiting["state"], &waiting["attempt"]), (&json!("scheduled"), &json!(0)));
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.contains("the token budget of the caller `alice` has no room until 20"));
    let spent = host.budget("alice").await["spent"].as_u64().unwrap();
    assert!((1..=4000).contains(&spent), "{spent}");

    let list = host.cli(&["schedule", "list"]).await.exits(0).out;
    assert!(list.contains("  alice   paused"), "{list}");
    for page in [["schedule", "show", "nightly"], ["job", "show", waiting["id"].as_str().unwrap()]]
    {
        let page = host.cli(&page).await.exits(0).out;
        assert!(page.contains("\ncaller    alice\n"), "{page}");
    }
    host.cli(&[&["schedule", "change", "nightly"], &definition[..]].concat()).await.exits(0);
    let job = host.cli(&[&run[..], &["--wait", "--json"]].concat()).await.exits(0).json();
    assert_eq!((&job["state"], &job["caller"]), (&json!("done"), &Value::Null));
    assert_eq!(host.budget("alice").await["spent"], spent);
    for name in ["", " alice"] {
        let refused = ["job", "submit", "echo", "--caller", name];
        let told = host.cli(&refused).await.exits(2).err;
        assert!(told.contains("`caller` names whom a job is for in 1 to 128 bytes"), "{told}");
    }
}

#[tokio::test]
async fn a_job_that_has_used_all_it_may_fails_for_good() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).more_config(&budgets("job = 100")).start();
    let id = host.call_later().await;
    let failed = host.until(&id, "failed").await;
    assert_eq!(failed["error"]["code"], "job-over-budget", "{failed:#}");
    assert_eq!(failed["attempt"], 1);
    // A client's call is a job as well.
    let told = ask(host.url.clone(), "bob", 40).await;
    assert_eq!(told.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(told.retry_after_s.is_none());
    let sentence = told.body["error"].as_str().unwrap();
    assert!(sentence.starts_with("one job may use 100 tokens"), "{sentence}");
}
