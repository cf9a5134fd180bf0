//! Backups, and what comes back from them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use reqwest::{Method, StatusCode};
use roughneck_testkit::ollama::{Config, FakeOllama};
use serde_json::{Value, json};

use crate::{client::in_300_days, host::Setup};

/// What a command printed, if it ended with this code.
fn told(setup: &Setup, arguments: &[&str], code: i32) -> String {
    let output = setup.about(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!err.contains("panicked"), "{err}");
    out + &err
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// An Ollama whose answers take so long that a host can be killed within one.
async fn slow_ollama() -> FakeOllama {
    let mut config = Config::demo();
    for model in &mut config.models {
        model.load_time = Duration::from_millis(50);
        model.decode_tokens_per_s = Some(40.0);
    }
    FakeOllama::start(config).await.unwrap()
}

#[tokio::test]
async fn the_jobs_of_a_host_that_was_destroyed_go_on_from_its_backup() {
    let ollama = slow_ollama().await;
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let done = host.submit(&json!({ "kind": "echo", "input": [1] })).await;
    host.until(&done, "done").await;
    let waiting = host.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await;
    let input = json!({ "text": "Rain fell for nine days. The bridge held. The mill did not." });
    let running = host.submit(&json!({ "kind": "summarize", "input": input })).await;
    host.events(&running, None).await.until(|event| event.name == "token").await;

    let report = told(&setup, &["backup", "--to", "copy"], 0);
    assert!(report.contains("jobs      3, of which 2 have not ended"), "{report}");
    let copy = setup.data_dir().with_file_name("copy");
    assert_eq!((mode(&copy), mode(&copy.join("webhook-secret"))), (0o700, 0o600));
    let again = told(&setup, &["backup", "--to", "copy"], 1);
    assert!(again.contains("is there already, and nothing is overwritten"), "{again}");
    let held = told(&setup, &["restore", "copy", "--replace"], 1);
    assert!(held.contains("already in use by process"), "{held}");
    let secret = setup.secret();
    host.kill_9().await;
    fs::remove_dir_all(setup.data_dir()).unwrap();

    let report = told(&setup, &["restore", "copy"], 0);
    assert!(report.contains("lost      1 runs were under way"), "{report}");
    let host = setup.start();
    assert_eq!(setup.secret(), secret);
    let job = host.until(&running, "done").await;
    assert_eq!((&job["attempt"], &job["losses"]), (&json!(1), &json!(1)), "{job:#}");
    let runs: Vec<&Value> =
        job["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["run"]).collect();
    assert_eq!(runs, [&json!(1), &json!(1_000_002)], "{job:#}");
    assert_eq!(host.job(&done).await["output"], json!([1]));
    assert_eq!(host.job(&waiting).await["state"], "scheduled");
}

#[tokio::test]
async fn a_host_that_is_stopped_is_backed_up_and_replaced_and_its_former_data_is_kept() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let nothing = told(&setup, &["backup"], 1);
    assert!(nothing.contains("there is no database at"), "{nothing}");
    let host = setup.start();
    let id = host.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await;
    host.signal("TERM");
    host.wait().await;
    told(&setup, &["backup", "--to", "copy"], 0);

    let host = setup.start();
    let (status, _) = host.send(Method::DELETE, &format!("/jobs/{id}"), "").await;
    assert_eq!(status, StatusCode::OK);
    host.kill_9().await;
    let full = told(&setup, &["restore", "copy"], 1);
    assert!(full.contains("has a host's data already"), "{full}");
    let report = told(&setup, &["restore", "copy", "--replace"], 0);
    assert!(report.contains("replaced  the former data is in"), "{report}");
    let host = setup.start();
    assert_eq!(host.job(&id).await["state"], "scheduled", "it was cancelled after the backup");
}

#[tokio::test]
async fn a_backup_that_was_changed_is_refused_and_the_data_folder_stays_as_it_is() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    setup.start().kill_9().await;
    told(&setup, &["backup", "--to", "copy"], 0);
    let copy = setup.data_dir().with_file_name("copy");
    let database = copy.join("roughneck.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes.extend([0; 4096]);
    fs::write(&database, bytes).unwrap();
    let refusal = told(&setup, &["restore", "copy", "--replace"], 1);
    assert!(refusal.contains("its SHA-256 differs"), "{refusal}");
    let host = setup.start();
    host.get("/readyz").await;
}
