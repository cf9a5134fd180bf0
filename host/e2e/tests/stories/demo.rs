//! The demo of the README.

use std::process::Command;

use crate::host::{binary, built};

#[test]
fn the_demo_tells_its_story_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .current_dir(dir.path())
        .arg("demo")
        .arg("--plugins")
        .arg(built("guests"))
        // Port 1 answers nobody, so the simulator takes over on every machine.
        .env("OLLAMA_HOST", "127.0.0.1:1")
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let story = [
        "SIMULATED",
        "is ready at http://127.0.0.1:",
        "-> 202",
        "tokens/s",
        "job.done was delivered",
        "its signature is good",
        "stopped cleanly",
    ];
    for part in story {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "the demo leaves nothing behind: {left:?}");
}
