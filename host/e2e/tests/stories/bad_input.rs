//! Bad input: each gets a sentence that says what to do.

use std::{fs, net::TcpListener, path::Path};

use reqwest::{Method, StatusCode};
use roughneck_testkit::ollama::{Config, FakeOllama};
use serde_json::{Value, json};

use crate::host::{Host, Setup, binary, built};

/// An address that answers nobody.
const NOBODY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn requests_that_cannot_be_served_are_explained() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url()).more_config("\n[server]\nbody-max = \"64KiB\"\n");
    let host = setup.start();
    let large = json!({ "kind": "echo", "input": "a".repeat(100_000) }).to_string();
    let table = [
        (r#"{"kind":"sumarize"}"#, 404, "unknown-kind", "summarize"),
        (r#"{"kind":"#, 400, "malformed-json", ""),
        (r#"[1]"#, 400, "not-an-object", "JSON object"),
        (r#"{"kind":"echo","prio":"high"}"#, 422, "invalid-submission", "prio"),
        (r#"{"kind":"echo","priority":"asap"}"#, 422, "invalid-submission", "urgent"),
        (r#"{"kind":"echo","callback":"ftp://x"}"#, 422, "invalid-submission", "http://"),
        (r#"{"kind":"echo","id":"7"}"#, 422, "invalid-submission", "ULID"),
        (r#"{"kind":"echo","run_at":1795333333}"#, 422, "invalid-submission", "milliseconds"),
        (r#"{"kind":"echo","callback":"pager"}"#, 422, "unknown-target", "callbacks.targets.pager"),
        (r#"{"kind":"echo","callback":"http://a:b@c"}"#, 422, "invalid-submission", "password"),
        (&large, 413, "body-too-large", "65536"),
    ];
    for (body, status, code, word) in table {
        let (got, problem) = host.send(Method::POST, "/jobs", body).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(got.as_u16(), status, "{shown}: {problem}");
        assert!(
            problem["code"].as_str().is_some_and(|got| got.contains(code)),
            "{shown}: {problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{shown}: {detail}");
    }
    let (status, problem) = host.send(Method::GET, "/jobs/not-an-id", "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("malformed-id")));
    let (status, problem) = host.send(Method::GET, "/jobs/01K9Z4T8N6Q0V5W3X2Y1R7S9AB", "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown-job")));
    let (status, problem) = host.send(Method::GET, "/nowhere", "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("no-such-route")));
}

#[tokio::test]
async fn schedules_that_cannot_be_used_are_explained() {
    let host = Setup::new(NOBODY).start();
    let table = [
        (r#"{"id":"a1","kind":"sumarize","expr":"@every 1h"}"#, 404, "unknown-kind", "summarize"),
        (r#"{"kind":"echo","expr":"@every 1h"}"#, 422, "invalid-submission", "nightly-report"),
        (
            r#"{"id":"A 1","kind":"echo","expr":"@every 1h"}"#,
            422,
            "invalid-submission",
            "lower-case",
        ),
        (r#"{"id":"a1","kind":"echo"}"#, 422, "invalid-submission", "`expr` is missing"),
        (r#"{"id":"a1","kind":"echo","expr":"daily"}"#, 422, "invalid-submission", "0 6 * * MON"),
        (r#"{"id":"a1","kind":"echo","expr":"0 0 31 2 *"}"#, 422, "invalid-submission", "no day"),
        (
            r#"{"id":"a1","kind":"echo","expr":"@every 1h","timezone":"CET+1"}"#,
            422,
            "invalid-submission",
            "Europe/Berlin",
        ),
        (
            r#"{"id":"a1","kind":"echo","expr":"@every 1h","missed":"sometimes"}"#,
            422,
            "invalid-submission",
            "skip, once, all",
        ),
        (
            r#"{"id":"a1","kind":"echo","expr":"@every 1h","missed":"all","missed_max":1000}"#,
            422,
            "invalid-submission",
            "1 to 100",
        ),
        (
            r#"{"id":"a1","kind":"echo","expr":"@every 1h","cron":"x"}"#,
            422,
            "invalid-submission",
            "`cron`",
        ),
    ];
    for (body, status, code, word) in table {
        let (got, problem) = host.send(Method::POST, "/schedules", body).await;
        assert_eq!((got.as_u16(), &problem["code"]), (status, &json!(code)), "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{body}: {detail}");
    }
    let (status, problem) = host.send(Method::GET, "/schedules/site-health/nightly", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(problem["detail"].as_str().unwrap().contains("%2F"), "{problem}");
}

#[tokio::test]
async fn a_model_that_is_not_installed_is_refused_with_the_command_that_installs_it() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let aliases = "\n[ollama]\naliases = { default = \"nosuch:7b\" }\n";
    let host = Setup::new(&ollama.url()).more_config(aliases).start();
    // Before the first look at Ollama any name is taken at its word.
    roughneck_testkit::eventually("Ollama was asked", crate::host::LIMIT, async || {
        host.get("/healthz").await["ollama"]["state"] == "up"
    })
    .await
    .unwrap();
    let body = json!({ "kind": "summarize", "input": { "text": "It rained." } }).to_string();
    let (status, problem) = host.send(Method::POST, "/jobs", &body).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (422, &json!("model-not-installed")),
        "{problem}"
    );
    assert!(problem["detail"].as_str().unwrap().contains("ollama pull nosuch:7b"), "{problem}");
}

#[tokio::test]
async fn an_unreachable_ollama_degrades_the_host_and_is_named() {
    let host = Setup::new(NOBODY).start();
    roughneck_testkit::eventually("the host is degraded", crate::host::LIMIT, async || {
        host.get("/healthz").await["status"] == "degraded"
    })
    .await
    .unwrap();
    let health = host.get("/healthz").await.to_string();
    assert!(health.contains(NOBODY) && health.contains("ollama serve"), "{health}");
    // It takes jobs all the same.
    host.submit(&json!({ "kind": "summarize", "input": { "text": "It rained." } })).await;
}

#[test]
fn a_data_folder_has_one_host() {
    let setup = Setup::new(NOBODY);
    let host = setup.start();
    let refusal = setup.refusal();
    assert!(
        refusal.contains("already in use") && refusal.contains(&host.pid().to_string()),
        "{refusal}"
    );
}

#[test]
fn only_its_owner_can_look_into_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new(NOBODY);
    let _host = setup.start();
    let mode = fs::metadata(setup.data_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let setup = Setup::new(NOBODY);
    fs::write(setup.data_dir(), "a file in its place").unwrap();
    let refusal = setup.refusal();
    assert!(refusal.contains("data folder") && refusal.contains("--data-dir"), "{refusal}");
}

#[test]
fn a_port_that_is_taken_and_an_address_that_others_reach_are_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new(NOBODY);
    let setup = setup.listen(&taken.local_addr().unwrap().to_string());
    let text = setup.refusal();
    assert!(text.contains("already in use") && text.contains("--listen"), "{text}");
    let text = setup.listen("0.0.0.0:0").refusal();
    assert!(text.contains("only loopback addresses"), "{text}");
}

#[test]
fn a_host_that_would_be_its_own_ollama_is_refused() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::new(&format!("http://localhost:{}", free.port())).listen(&free.to_string());
    let refusal = setup.refusal();
    assert!(refusal.contains("leads back to this host") && refusal.contains("--ollama-url"));
    let checked =
        setup.about(&["config", "check", "--listen", &free.to_string()]).output().unwrap();
    assert!(String::from_utf8(checked.stderr).unwrap().contains("leads back to this host"));
}

#[tokio::test]
async fn a_host_that_is_the_ollama_of_another_says_so() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let first = Setup::new(&ollama.url()).start();
    let second = Setup::new(&first.url).start();
    roughneck_testkit::eventually("the host is degraded", crate::host::LIMIT, async || {
        second.get("/healthz").await["status"] == "degraded"
    })
    .await
    .unwrap();
    let health = second.get("/healthz").await.to_string();
    assert!(health.contains("a roughneck host sent this request"), "{health}");
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_the_right_one() {
    let setup = Setup::new(NOBODY).more_config("\n[ollamma]\nurl = \"x\"\n");
    let refusal = setup.refusal();
    assert!(refusal.contains("did you mean `ollama`?"), "{refusal}");
}

#[test]
fn the_command_line_explains_itself() {
    let output = std::process::Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for command in ["serve", "demo", "config", "ollama-sim"] {
        assert!(help.contains(command), "{help}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn refused(host: &Host, name: &str) -> Value {
    let plugins = host.get("/plugins").await;
    let refused = plugins["refused"].as_array().unwrap();
    let found = refused.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not refused: {plugins:#}")).clone()
}

#[tokio::test]
async fn plugins_that_cannot_be_trusted_are_refused_each_with_its_sentence_and_the_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = built("fixtures");
    for name in ["fixture", "undeclared", "wrong-version"] {
        copy(&fixtures.join(name), &folder.path().join(name));
    }
    let summarize = built("guests").join("summarize");
    let edit = |name: &str, from: &str, to: &str| {
        let path = folder.path().join(name);
        copy(&summarize, &path);
        let manifest = fs::read_to_string(path.join("plugin.toml")).unwrap();
        assert!(manifest.contains(from), "{manifest}");
        fs::write(path.join("plugin.toml"), manifest.replace(from, to)).unwrap();
    };
    edit("unknown-key", "timeout = ", "tiemout = ");
    copy(&summarize, &folder.path().join("no-component"));
    fs::write(folder.path().join("no-component/summarize.wasm"), b"\0asm\x01\0\0\0").unwrap();
    copy(&summarize, &folder.path().join("no-wasm"));
    fs::remove_file(folder.path().join("no-wasm/summarize.wasm")).unwrap();
    copy(&built("guests").join("site-health"), &folder.path().join("site-health"));

    let setup = Setup::new(NOBODY)
        .plugins(folder.path())
        .config("[grants.site-health]", "[grants.somebody-else]");
    let host = setup.start();
    let table = [
        ("unknown-key", "did you mean `timeout`?"),
        ("no-component", "wasm32-wasip2"),
        ("no-wasm", "summarize.wasm"),
        ("undeclared", "does not declare"),
        ("wrong-version", "1.0.0"),
        ("site-health", "[grants.site-health]"),
    ];
    for (name, words) in table {
        let refusal = refused(&host, name).await;
        assert!(!refusal["code"].as_str().unwrap().is_empty(), "{refusal}");
        assert!(refusal["message"].as_str().unwrap().contains(words), "{name}: {refusal}");
    }
    let id = host.submit(&json!({ "kind": "echo", "input": 7 })).await;
    assert_eq!(host.until(&id, "done").await["output"], 7);
}
