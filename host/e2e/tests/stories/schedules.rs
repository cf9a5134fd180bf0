//! Schedules.

use std::{collections::BTreeSet, fs};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};
use serde_json::{Value, json};

use crate::host::{Host, LIMIT, Setup, built};

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

impl Host {
    /// The jobs of a schedule, the newest first.
    async fn jobs_of(&self, schedule: &str) -> Vec<Value> {
        let page = self.get("/jobs?kind=echo&limit=200").await;
        let jobs = page["jobs"].as_array().unwrap().iter();
        jobs.filter(|job| job["schedule"]["id"] == schedule).cloned().collect()
    }

    /// The fires of a schedule that ran, each once.
    async fn fires(&self, schedule: &str) -> BTreeSet<Timestamp> {
        let jobs = self.jobs_of(schedule).await;
        let fires = jobs.iter().map(|job| &job["schedule"]["fire_at"]);
        let all: Vec<Timestamp> = fires.filter(|at| !at.is_null()).map(instant).collect();
        let once: BTreeSet<Timestamp> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len(), "a fire of {schedule} ran twice");
        once
    }

    async fn until_more_fires(&self, schedule: &str) {
        let before = self.fires(schedule).await.len();
        let more = async || self.fires(schedule).await.len() >= before + 2;
        eventually("two more fires", LIMIT, more).await.unwrap();
    }

    async fn make(&self, schedule: &Value) {
        let (status, answer) = self.send(Method::POST, "/schedules", &schedule.to_string()).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    /// Sends a request about a schedule that must be served.
    async fn ask(&self, method: Method, path: &str, body: &str) -> Value {
        let (status, answer) = self.send(method, &format!("/schedules/{path}"), body).await;
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }
}

fn every_second(id: &str) -> Value {
    json!({ "id": id, "kind": "echo", "expr": "@every 1s", "overlap": "queue", "input": { "tick": true } })
}

#[tokio::test]
async fn a_schedule_in_a_manifest_fires_and_a_restart_does_not_fire_twice() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let plugins = tempfile::tempdir().unwrap();
    let folder = plugins.path().join("fixture");
    fs::create_dir(&folder).unwrap();
    fs::copy(built("fixtures").join("fixture/fixture.wasm"), folder.join("fixture.wasm")).unwrap();
    let manifest = fs::read_to_string(built("fixtures").join("fixture/plugin.toml")).unwrap();
    let cron = "\n[[cron]]\nid = \"tick\"\nkind = \"echo\"\nexpr = \"@every 1s\"\noverlap = \"queue\"\ninput = { tick = true }\n";
    fs::write(folder.join("plugin.toml"), manifest + cron).unwrap();
    let setup = Setup::new(&ollama.url()).plugins(plugins.path());

    let host = setup.start();
    eventually("two fires", LIMIT, async || host.fires("fixture/tick").await.len() >= 2)
        .await
        .unwrap();
    host.kill_9().await;
    let host = setup.start();
    host.until_more_fires("fixture/tick").await;
    let jobs = host.jobs_of("fixture/tick").await;
    let id = jobs[jobs.len() - 1]["id"].as_str().unwrap();
    assert_eq!(host.until(id, "done").await["output"], json!({ "tick": true }));

    // It is paused under its whole id, also after a restart; nobody deletes it here.
    let (status, problem) = host.send(Method::DELETE, "/schedules/fixture%2Ftick", "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("schedule-of-manifest")));
    host.ask(Method::POST, "fixture%2Ftick/pause", r#"{"reason":"a move"}"#).await;
    host.kill_9().await;
    let host = setup.start();
    let shown = host.ask(Method::GET, "fixture%2Ftick", "").await;
    assert_eq!((&shown["origin"], &shown["plugin"]), (&json!("manifest"), &json!("fixture")));
    assert_eq!(shown["paused"]["reason"], "a move");
    let before = host.fires("fixture/tick").await;
    host.make(&every_second("clock")).await;
    host.until_more_fires("clock").await;
    assert_eq!(host.fires("fixture/tick").await, before);
    host.ask(Method::POST, "fixture%2Ftick/resume", "").await;
    host.until_more_fires("fixture/tick").await;
}

#[tokio::test]
async fn a_schedule_made_over_http_fires_pauses_survives_a_kill_and_goes() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    host.make(&every_second("tick")).await;
    host.make(&every_second("clock")).await;
    host.until_more_fires("tick").await;
    host.kill_9().await;
    let host = setup.start();
    host.until_more_fires("tick").await;

    let paused = host.ask(Method::POST, "tick/pause", "").await;
    let before = host.fires("tick").await;
    host.until_more_fires("clock").await;
    assert_eq!(host.fires("tick").await, before, "it is paused");
    let shown = host.ask(Method::GET, "tick", "").await;
    assert_eq!(Some(&instant(&shown["last_fire"]["at"])), before.last());
    assert_eq!(shown["next"].as_array().unwrap().len(), 5);

    // By hand it runs all the same.
    let job = host.ask(Method::POST, "tick/run", "").await;
    let job = host.until(job["id"].as_str().unwrap(), "done").await;
    assert_eq!(job["schedule"], json!({ "id": "tick", "fire_at": null, "by_hand": true }));
    assert_eq!(job["output"], json!({ "tick": true }));
    assert_eq!(host.fires("tick").await, before, "a run by hand is no fire");

    let resumed = Timestamp::now();
    host.ask(Method::POST, "tick/resume", "").await;
    host.until_more_fires("tick").await;
    let since = instant(&paused["paused"]["since"]);
    let meanwhile = host.fires("tick").await.into_iter().filter(|at| *at > since && *at < resumed);
    assert_eq!(meanwhile.count(), 0, "what it missed while it was paused is not made up for");

    let slow = json!({ "kind": "echo", "expr": "0 6 1 1 *", "timezone": "Europe/Berlin" });
    let changed = host.ask(Method::PUT, "tick", &slow.to_string()).await;
    assert!(changed["next"][0]["local"].as_str().unwrap().ends_with("-01-01T06:00:00+01:00"));
    host.ask(Method::DELETE, "tick", "").await;
    let (status, problem) = host.send(Method::GET, "/schedules/tick", "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown-schedule")));
    let before = host.fires("tick").await;
    host.until_more_fires("clock").await;
    assert_eq!(host.fires("tick").await, before);
}

#[tokio::test]
async fn schedules_are_made_shown_and_run_from_the_command_line() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let create =
        ["schedule", "create", "nightly", "echo", "0 3 * * *", "--input", "[1]", "--timezone"];
    let create = [&create[..], &["Europe/Berlin", "--paused"]].concat();
    assert_eq!(host.cli(&create).await.exits(0).out, "created nightly\n");
    let again = host.cli(&[&create[..], &["--json"]].concat()).await.exits(0).json();
    assert_eq!((&again["id"], &again["input"]), (&json!("nightly"), &json!([1])));

    let list = host.cli(&["schedule", "list"]).await.exits(0).out;
    assert!(list.starts_with("ID ") && list.contains("Europe/Berlin  -       paused"), "{list}");
    let resumed = host.cli(&["schedule", "resume", "nightly"]).await.exits(0);
    assert_eq!(resumed.out, "resumed nightly\n");
    let page = host.cli(&["schedule", "show", "nightly"]).await.exits(0).out;
    for part in ["state     active\n", "\nNEXT\n20", "\nINPUT\n[\n  1\n]\n"] {
        assert!(page.contains(part), "`{part}` is missing in:\n{page}");
    }
    let ran = host.cli(&["schedule", "run", "nightly", "--wait"]).await.exits(0);
    assert_eq!(ran.out, "[1]\n");
    let job = host.cli(&["schedule", "run", "nightly"]).await.exits(0).out;
    let page = host.cli(&["job", "show", job.trim()]).await.exits(0).out;
    assert!(page.contains("schedule  nightly, run by hand\n"), "{page}");

    let change = ["schedule", "change", "nightly", "echo", "@every 1h", "--overlap", "queue"];
    assert_eq!(host.cli(&change).await.exits(0).out, "changed nightly\n");
    let pause = ["schedule", "pause", "nightly", "--reason", "a move", "--json"];
    assert_eq!(host.cli(&pause).await.exits(0).json()["paused"]["reason"], "a move");
    let deleted = host.cli(&["schedule", "delete", "nightly"]).await.exits(0);
    assert_eq!(deleted.out, "deleted nightly\n");

    let gone = host.cli(&["schedule", "run", "nightly"]).await.exits(1);
    assert!(gone.err.contains("there is no schedule `nightly`"), "{}", gone.err);
    let problem = host.cli(&["schedule", "show", "a/b", "--json"]).await.exits(1).json();
    assert_eq!(problem["code"], "unknown-schedule");
    for wrong in [
        &["schedule", "create", "nightly", "echo"][..],
        &["schedule", "create", "nightly", "echo", "@every 1h", "--missed", "maybe"],
        &["schedule", "run", "nightly", "--timeout", "1s"],
    ] {
        assert!(host.cli(wrong).await.exits(2).out.is_empty(), "{wrong:?}");
    }
}
