//! `roughneck doctor`.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use roughneck_testkit::ollama::{Config, FakeOllama, Model};
use serde_json::{Value, json};

use crate::{client::in_300_days, host::Setup};

const NOBODY: &str = "http://127.0.0.1:1";

/// Runs a command while the stand-ins of the test go on.
async fn output(setup: &Setup, arguments: &[&str]) -> Output {
    tokio::process::Command::from(setup.about(arguments)).output().await.unwrap()
}

/// What the doctor finds, and how it ends.
pub(crate) async fn findings(setup: &Setup, more: &[&str]) -> (i32, Vec<Value>) {
    let arguments = [&["doctor", "--json"], more].concat();
    let output = output(setup, &arguments).await;
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr));
    let err = err.unwrap();
    assert!(err.is_empty(), "{err}");
    (output.status.code().unwrap(), serde_json::from_str(&out).unwrap())
}

pub(crate) fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("nothing about {check}: {findings:#?}"))
}

fn statuses(findings: &[Value]) -> BTreeSet<(&str, &str)> {
    findings
        .iter()
        .map(|finding| (finding["check"].as_str().unwrap(), finding["status"].as_str().unwrap()))
        .filter(|(_, status)| *status != "ok")
        .collect()
}

fn files(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_host_that_runs_well_is_well_and_its_refused_plugins_are_named() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let id = host.submit(&json!({ "kind": "echo" })).await;
    host.until(&id, "done").await;
    let (code, found) = findings(&setup, &["--url", &host.url]).await;
    assert_eq!(code, 0, "{found:#?}");
    // The fixtures have plugins that no host takes.
    assert_eq!(statuses(&found), BTreeSet::from([("plugin", "warn")]));
    let lock = of(&found, "lock")["found"].as_str().unwrap();
    assert_eq!(lock, format!("process {} has the data folder", host.pid()));
    assert_eq!(of(&found, "host")["found"], format!("ready at {}", host.url));
    assert!(of(&found, "database")["found"].as_str().unwrap().contains("it is whole"));
    assert!(of(&found, "clock")["found"].as_str().unwrap().contains("ago"));
    assert!(of(&found, "model")["found"].as_str().unwrap().contains("`default` is"));
}

#[tokio::test]
async fn what_is_wrong_with_a_host_that_is_stopped_is_told_with_what_to_do_and_nothing_changes() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    host.signal("TERM");
    host.wait().await;
    let secret = setup.data_dir().join("webhook-secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let both =
        |setup: &Setup| (files(&setup.data_dir()), files(&setup.data_dir().join("compiled")));
    let before = both(&setup);
    let setup = setup.ollama(NOBODY).config("\"0B\"", "\"1000PiB\"");
    let (code, found) = findings(&setup, &["--url", NOBODY]).await;
    assert_eq!(code, 1);
    let wrong = [("disk", "fail"), ("ollama", "fail"), ("plugin", "warn"), ("secret", "warn")];
    assert_eq!(statuses(&found), BTreeSet::from(wrong), "{found:#?}");
    assert!(of(&found, "secret")["todo"].as_str().unwrap().starts_with("run `chmod 600"));
    assert_eq!(of(&found, "host")["found"], "none runs");
    assert_eq!(both(&setup), before);

    let output = output(&setup, &["doctor", "--url", NOBODY]).await;
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("FAIL  ollama"), "{page}");
    assert!(page.contains("lower `disk-free-min` under [intake]"), "{page}");
}

#[tokio::test]
async fn ollama_is_asked_and_nothing_of_it_is_changed() {
    let mut simulated = Config::instant();
    // Of another host, which has pinned a context.
    let stand_in =
        Model::chat("qwen3:4b").alias("roughneck/qwen3:4b-ctx8192-0123456789ab-1f3a9c2e");
    simulated.models.push(stand_in);
    let ollama = FakeOllama::start(simulated).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let (code, found) = findings(&setup, &["--url", NOBODY]).await;
    assert_eq!(code, 0, "{found:#?}");
    let found = of(&found, "ollama")["found"].as_str().unwrap();
    assert_eq!(found, "version 0.33.0 with 3 models");
    let log = ollama.log();
    // How a model is made is a question too, although it is put by `POST`.
    let mut questions = log.iter().filter(|asked| asked.path != "/api/show");
    assert!(!log.is_empty() && questions.all(|asked| asked.method == "GET"), "{log:?}");
}

#[tokio::test]
async fn a_damaged_database_and_a_wrong_configuration_are_found() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    fs::create_dir_all(setup.data_dir()).unwrap();
    fs::write(setup.data_dir().join("roughneck.db"), "garbage ".repeat(1000)).unwrap();
    let (code, found) = findings(&setup, &["--url", NOBODY]).await;
    assert_eq!((code, &of(&found, "database")["status"]), (1, &json!("fail")), "{found:#?}");

    let setup = setup.more_config("\n[servr]\n");
    let (code, found) = findings(&setup, &[]).await;
    assert_eq!((code, found.len()), (1, 1), "{found:#?}");
    assert!(of(&found, "config")["found"].as_str().unwrap().contains("did you mean `server`?"));
}

#[tokio::test]
async fn a_host_that_was_killed_and_one_that_was_never_started_are_looked_at() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let (code, found) = findings(&setup, &["--url", NOBODY]).await;
    assert_eq!(code, 0, "{found:#?}");
    assert!(!setup.data_dir().exists(), "the doctor makes nothing");
    let host = setup.start();
    host.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await;
    host.kill_9().await;
    let (code, found) = findings(&setup, &["--url", NOBODY]).await;
    assert_eq!(code, 0, "{found:#?}");
    assert_eq!(of(&found, "lock")["found"], "no host has the data folder");
    let database = of(&found, "database")["found"].as_str().unwrap();
    assert!(database.contains("1 jobs have not ended"), "{database}");
}
