//! A server that the bench started: what it says, what it uses, and its end.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use crate::procfs;

/// How long a server may take to say what is waited for: filling a queue is the longest.
const WORD_LIMIT: Duration = Duration::from_secs(300);

/// A process of the bench. It is killed by its id when it is dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    pid: u32,
    input: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    log: PathBuf,
}

impl Process {
    /// Starts a server that works in `dir` and logs there.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(name: &'static str, command: &mut Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let errors = std::fs::File::create(&log)
            .with_context(|| format!("{} cannot be made", log.display()))?;
        command.current_dir(dir).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let output = child.stdout.take().context("the process has no output")?;
        let input = child.stdin.take().context("the process has no input")?;
        let pid = child.id().context("the process has ended")?;
        let (sender, lines) = mpsc::unbounded_channel();
        // Read all the time, so that no server ever waits for the bench.
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name, child, pid, input, lines, log })
    }

    /// Waits for a line with `word` and returns what follows it.
    ///
    /// # Errors
    /// If the process ends, or says nothing of it for minutes.
    pub(crate) async fn said(&mut self, word: &str) -> Result<String> {
        let heard = async {
            while let Some(line) = self.lines.recv().await {
                if let Some((_, rest)) = line.split_once(word) {
                    return Some(rest.trim().to_owned());
                }
            }
            None
        };
        match tokio::time::timeout(WORD_LIMIT, heard).await {
            Ok(Some(rest)) => Ok(rest),
            Ok(None) => bail!(
                "{} ended before it said `{word}`; its log is {}",
                self.name,
                self.log.display()
            ),
            Err(_) => {
                bail!("{} did not say `{word}`; its log is {}", self.name, self.log.display())
            }
        }
    }

    /// Writes a line to the process.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) async fn tell(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .with_context(|| format!("{} has ended; its log is {}", self.name, self.log.display()))
    }

    /// CPU time so far, in microseconds; not a number where the system does not tell.
    pub(crate) fn cpu_us(&self) -> f64 {
        number(procfs::cpu_us(self.pid))
    }

    /// Resident memory, in MiB.
    pub(crate) fn rss_mib(&self) -> f64 {
        number(procfs::rss_bytes(self.pid)) / f64::from(1 << 20)
    }

    /// What it caused to be written to a disk so far, in KiB.
    pub(crate) fn written_kib(&self) -> f64 {
        number(procfs::written_bytes(self.pid)) / 1024.0
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// If the system does not let it.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }
}

/// A port that nobody listens on, most likely also in a moment.
///
/// # Errors
/// If there is none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn number(value: Option<u64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure, not a count")]
    value.map_or(f64::NAN, |value| value as f64)
}
