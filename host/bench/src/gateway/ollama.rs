//! The simulated Ollama as a process of its own, which takes no time for anything.

use std::{io::BufRead as _, net::SocketAddr};

use anyhow::{Context as _, Result};
use roughneck_testkit::ollama::{Config, FakeOllama};
use tokio::{process::Command, sync::mpsc};

use crate::{process::Process, stand::Stand};

/// What this program is told to become that server; the words of an answer follow.
pub(crate) const COMMAND: &str = "ollama";

/// What the process is asked for the gaps between its calls.
const GAPS: &str = "gaps";

/// Calls whose times it remembers.
const CALLS_MAX: usize = 1 << 16;

/// A running Ollama.
pub(super) struct Ollama {
    /// Its process.
    pub(super) process: Process,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Ollama {
    /// Starts it. Its answers have so many words, if the request does not limit them.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) async fn start(stand: &Stand, words: usize) -> Result<Self> {
        let dir = stand.fresh(COMMAND)?;
        let mut command = Command::new(&stand.bench);
        let mut process =
            Process::start(COMMAND, command.arg(COMMAND).arg(words.to_string()), &dir)?;
        let address = process.said("ready at http://").await?.parse()?;
        Ok(Self { process, address })
    }

    /// From the end of each chat to the arrival of the next one, in milliseconds, of all so far.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) async fn gaps_ms(&mut self) -> Result<Vec<f64>> {
        self.process.tell(GAPS).await?;
        let told = self.process.said(GAPS).await?;
        serde_json::from_str(&told).context("Ollama tells no list")
    }
}

/// Is that server until its input ends.
///
/// # Errors
/// If it cannot listen.
pub(crate) async fn simulate(words: &str) -> Result<()> {
    let answer_words = words.parse().with_context(|| format!("`{words}` is not a number"))?;
    let config = Config { answer_words, log_entries_max: CALLS_MAX, ..Config::instant() };
    let ollama = FakeOllama::start(config).await?;
    println!("ready at http://{}", ollama.addr());
    let (said, mut lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines.map_while(Result::ok).try_for_each(|line| said.send(line))
    });
    while let Some(line) = lines.recv().await {
        if line == GAPS {
            println!("{GAPS} {}", serde_json::to_string(&gaps_ms(&ollama))?);
        }
    }
    Ok(())
}

fn gaps_ms(ollama: &FakeOllama) -> Vec<f64> {
    let calls = ollama.log();
    let chats: Vec<_> = calls.iter().filter(|call| call.path == "/api/chat").collect();
    let pairs = chats.iter().zip(chats.iter().skip(1));
    let gaps =
        pairs.filter_map(|(one, next)| next.started_at.checked_duration_since(one.ended_at?));
    gaps.map(|gap| gap.as_secs_f64() * 1000.0).collect()
}
