//! The demo of the README.

use std::{
    io::{BufRead, BufReader, Lines},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use roughneck_testkit::ollama::{Config, FakeOllama, Model};
use tempfile::TempDir;

use crate::host::{Setup, binary, built};

/// A demo that finds no Ollama and keeps its files in `dir`.
fn demo(dir: &TempDir, more: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(dir.path()).arg("demo").arg("--plugins").arg(built("guests")).args(more);
    // Port 1 answers nobody, so the simulator takes over on every machine. A proxy must not matter.
    command.env("OLLAMA_HOST", "127.0.0.1:1").env("HTTP_PROXY", "http://127.0.0.1:1");
    command.env("TMPDIR", dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reads what the demo prints until a line contains `words`. The rest stays to be read: a demo
/// whose output is closed cannot go on.
fn read_until(child: &mut Child, words: &str) -> Lines<BufReader<ChildStdout>> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next() {
        seen.push(line.unwrap());
        if seen.last().unwrap().contains(words) {
            return lines;
        }
    }
    panic!("`{words}` is missing in:\n{}", seen.join("\n"));
}

/// Signals the demo and, as a terminal does, everybody in its group.
fn signal_group(child: &Child, name: &str) {
    let group = format!("-{}", child.id());
    let status = Command::new("kill").args(["-s", name, "--", &group]).status().unwrap();
    assert!(status.success());
}

fn end(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

fn assert_empty(dir: &Path) {
    let left: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "the demo leaves nothing behind: {left:?}");
}

#[test]
fn the_demo_tells_its_story_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let output = demo(&dir, &[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let story = [
        "SIMULATED",
        "is ready at http://127.0.0.1:",
        "-> 202",
        "state    loading",
        "progress █",
        "tokens   {",
        "tokens/s",
        "in the queue, loaded the model in",
        "job.done was delivered",
        "its signature is good",
        "stopped cleanly",
    ];
    for part in story {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert_empty(dir.path());
}

/// Runs a demo to its end, while the stand-ins of the test go on, and returns what it printed.
async fn told(command: Command) -> String {
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test]
async fn a_demo_in_front_of_somebody_s_ollama_deletes_nothing_there() {
    let mut simulated = Config::instant();
    let stand_in = Model::chat("qwen3:4b").alias("roughneck/qwen3:4b-ctx8192-0123456789ab");
    simulated.models.push(stand_in);
    let ollama = FakeOllama::start(simulated).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut command = demo(&dir, &[]);
    command.env("OLLAMA_HOST", ollama.addr().to_string());
    let text = told(command).await;
    assert!(!text.contains("SIMULATED"), "{text}");
    let log = ollama.log();
    assert!(log.iter().any(|asked| asked.path == "/api/chat"), "{log:?}");
    assert!(log.iter().all(|asked| asked.method != "DELETE"), "{log:?}");
}

#[tokio::test]
async fn a_demo_beside_a_host_does_not_take_it_for_an_ollama() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Setup::new(&ollama.url()).plugins(dir.path()).start();
    let mut command = demo(&dir, &[]);
    command.env("OLLAMA_HOST", host.url.trim_start_matches("http://"));
    let text = told(command).await;
    assert!(text.contains("a roughneck host answers at") && text.contains("SIMULATED"), "{text}");
}

#[test]
fn a_demo_whose_host_does_not_start_says_why_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = demo(&dir, &[]).env("ROUGHNECK_LOG_FORMAT", "verse").output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("did not become ready") && words.contains("verse"), "{words}");
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_nobody_reads_ends_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = demo(&dir, &[]).spawn().unwrap();
    drop(read_until(&mut child, "SIMULATED"));
    let output = end(child);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_is_interrupted_while_its_host_starts_does_not_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = demo(&dir, &[]).process_group(0).spawn().unwrap();
    let rest = read_until(&mut child, "SIMULATED");
    signal_group(&child, "TERM");
    let rest: Vec<String> = rest.map(Result::unwrap).collect();
    assert!(!rest.iter().any(|line| line.contains("is ready at")), "{rest:?}");
    let output = end(child);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_stays_up_ends_cleanly_with_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = demo(&dir, &["--keep"]).process_group(0).spawn().unwrap();
    let _rest = read_until(&mut child, "the host stays up");
    signal_group(&child, "INT");
    let output = end(child);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_is_interrupted_leaves_neither_host_nor_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = demo(&dir, &[]).process_group(0).spawn().unwrap();
    let _rest = read_until(&mut child, "loading");
    signal_group(&child, "TERM");
    let output = end(child);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
    // Its data folder is removed only after its host has ended.
    assert_empty(dir.path());
}
