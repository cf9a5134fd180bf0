//! Schedules.

use std::fs;

use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
};
use serde_json::json;

use crate::host::{LIMIT, Setup, built};

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

    let count = async |host: &crate::host::Host| {
        host.get("/jobs?kind=echo&limit=200").await["jobs"].as_array().unwrap().len()
    };
    let host = setup.start();
    eventually("two fires", LIMIT, async || count(&host).await >= 2).await.unwrap();
    host.kill_9().await;
    let host = setup.start();
    let before = count(&host).await;
    eventually("more fires", LIMIT, async || count(&host).await > before).await.unwrap();

    let jobs = host.get("/jobs?kind=echo&limit=200").await;
    let jobs = jobs["jobs"].as_array().unwrap();
    let id = jobs.last().unwrap()["id"].as_str().unwrap();
    assert_eq!(host.until(id, "done").await["output"], json!({ "tick": true }));
    // One fire a second: more jobs than seconds would be fires that ran twice.
    let at = |job: &serde_json::Value| -> jiff::Timestamp {
        job["enqueued_at"].as_str().unwrap().parse().unwrap()
    };
    let lasted = at(&jobs[0]).duration_since(at(&jobs[jobs.len() - 1]));
    assert!(jobs.len() as i64 <= lasted.as_secs() + 2, "{} jobs in {lasted:?}", jobs.len());
}
