//! The demo of the README.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use roughneck_testkit::ollama::{Config, FakeOllama, Model};
use tempfile::TempDir;

use crate::{
    host::{Setup, binary, built},
    printed::Printed,
};

/// A demo that finds no Ollama and keeps its files in `dir`.
fn demo(dir: &TempDir, more: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(dir.path()).arg("demo").arg("--plugins").arg(built("guests")).args(more);
    // Port 1 answers nobody, so the simulator takes over on every machine. A proxy must not matter.
    command.env("OLLAMA_HOST", "127.0.0.1:1").env("HTTP_PROXY", "http://127.0.0.1:1");
    command.env("TMPDIR", dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A demo that goes on. It ends with its test, however that ends.
struct Running {
    child: Child,
    out: Printed,
    err: Printed,
}

impl Running {
    fn start(dir: &TempDir, more: &[&str]) -> Self {
        let mut child = demo(dir, more).process_group(0).spawn().unwrap();
        let out = Printed::of(child.stdout.take().unwrap());
        let err = Printed::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Signals the demo and, as a terminal does, everybody in its group.
    fn signal_group(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args(["-s", name, "--", &group]).status().unwrap();
        assert!(status.success());
    }

    /// How it ended, and what it said of that.
    fn ended(mut self) -> (ExitStatus, String) {
        let said = self.err.rest();
        (self.child.wait().unwrap(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not killed: its host is in a group of its own, and ends only if the demo ends it.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal_group("TERM");
            let _ = self.child.wait();
        }
    }
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
    let stand_in =
        Model::chat("qwen3:4b").alias("roughneck/qwen3:4b-ctx8192-0123456789ab-1f3a9c2e");
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
    let mut demo = Running::start(&dir, &[]);
    demo.out.until("SIMULATED");
    // Its pipe is closed at the next line.
    demo.out = Printed::of(std::io::empty());
    let (status, said) = demo.ended();
    assert!(status.success(), "{said}");
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_is_interrupted_while_its_host_starts_does_not_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Running::start(&dir, &[]);
    demo.out.until("SIMULATED");
    demo.signal_group("TERM");
    let rest = demo.out.rest();
    assert!(!rest.contains("is ready at"), "{rest}");
    let (status, said) = demo.ended();
    assert!(!status.success());
    assert!(said.contains("interrupted"), "{said}");
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_stays_up_ends_cleanly_with_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Running::start(&dir, &["--keep"]);
    demo.out.until("the host stays up");
    demo.signal_group("INT");
    let (status, said) = demo.ended();
    assert!(status.success(), "{said}");
    assert_empty(dir.path());
}

#[test]
fn a_demo_that_is_interrupted_leaves_neither_host_nor_files() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Running::start(&dir, &[]);
    demo.out.until("loading");
    demo.signal_group("TERM");
    let (status, said) = demo.ended();
    assert!(!status.success());
    assert!(said.contains("interrupted"), "{said}");
    // Its data folder is removed only after its host has ended.
    assert_empty(dir.path());
}
