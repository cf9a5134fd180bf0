//! The simulated Ollama as a process of its own, which takes no time for anything.

use std::{io::BufRead as _, net::SocketAddr};

use anyhow::{Context as _, Result};
use roughneck_testkit::ollama::{Config, FakeOllama, Recorded};
use tokio::{process::Command, sync::mpsc, time::Instant};

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

    /// From the end of each chat to the arrival of the next one, in milliseconds, of those since it was asked last.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) async fn new_gaps_ms(&mut self) -> Result<Vec<f64>> {
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
    let mut gaps = Gaps::default();
    while let Some(line) = lines.recv().await {
        if line == GAPS {
            println!("{GAPS} {}", serde_json::to_string(&gaps.new_ms(&ollama.log()))?);
        }
    }
    Ok(())
}

/// The gaps between chats, each told once.
#[derive(Default)]
struct Gaps {
    /// When the last chat began that was told of. It has no number that lasts: the log forgets its oldest calls.
    told: Option<Instant>,
}

impl Gaps {
    /// In milliseconds, between the chats since this was asked last.
    fn new_ms(&mut self, calls: &[Recorded]) -> Vec<f64> {
        let is_new = |call: &&Recorded| self.told.is_none_or(|told| call.started_at > told);
        let chats = calls.iter().filter(|call| call.path == "/api/chat");
        let chats: Vec<&Recorded> = chats.filter(is_new).collect();
        self.told = chats.last().map(|chat| chat.started_at).or(self.told);
        let pairs = chats.iter().zip(chats.iter().skip(1));
        let gaps =
            pairs.filter_map(|(one, next)| next.started_at.checked_duration_since(one.ended_at?));
        gaps.map(|gap| gap.as_secs_f64() * 1000.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gateway::chat, wire::Connection};

    #[tokio::test]
    async fn every_round_has_its_gaps_when_the_first_calls_are_long_forgotten() {
        let config = Config { log_entries_max: 3, ..Config::instant() };
        let ollama = FakeOllama::start(config).await.unwrap();
        let mut connection = Connection::open(ollama.addr()).await.unwrap();
        let mut gaps = Gaps::default();
        for round in 0..3 {
            for _ in 0..5 {
                connection.stream(&chat(1)).await.unwrap();
            }
            assert_eq!(gaps.new_ms(&ollama.log()).len(), 2, "round {round}");
            assert_eq!(gaps.new_ms(&ollama.log()), [0.0; 0], "they are told once");
        }
    }
}
