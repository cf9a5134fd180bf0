//! A script that drives one client: the name of a check goes in, what the client saw comes out.

use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::runtime::Runtime;
use crate::host::LIMIT;

/// What a client saw in one check.
#[derive(Debug)]
pub(super) struct Answer {
    /// Where it comes from and its name: `PyPI ollama`.
    pub(super) client: String,
    pub(super) version: String,
    pub(super) check: String,
    /// None if the client does not offer it.
    pub(super) ok: Option<bool>,
    pub(super) saw: String,
}

/// A running script. It is killed when it is dropped.
pub(super) struct Script {
    child: Child,
    checks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _dir: TempDir,
}

impl Script {
    pub(super) fn start(runtime: Runtime, script: &str, url: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::from(runtime.command(script, dir.path()));
        command.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let checks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, checks, answers, _dir: dir }
    }

    /// What the client sees; none if it does not offer such a thing.
    pub(super) async fn ask(&mut self, check: &str) -> Option<Answer> {
        self.checks.write_all(format!("{check}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(LIMIT, self.answers.next_line()).await;
        let line = line.unwrap_or_else(|_late| panic!("`{check}` took longer than {LIMIT:?}"));
        let line = line.unwrap().unwrap_or_else(|| panic!("the script ended in `{check}`"));
        let value: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        let answer = Answer {
            client: text("client"),
            version: text("version"),
            check: text("check"),
            ok: value["ok"].as_bool(),
            saw: text("saw"),
        };
        answer.ok.is_some().then_some(answer)
    }

    /// Lets the script end by itself.
    pub(super) async fn end(self) {
        let Self { mut child, checks, .. } = self;
        drop(checks);
        assert!(child.wait().await.unwrap().success(), "the script failed at its end");
    }
}
