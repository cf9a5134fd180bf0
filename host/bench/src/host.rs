//! The host under test: the real binary, spoken to over HTTP only.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    clock::wait_until,
    load::{self, Until},
    process::Process,
    stand::Stand,
    wire::{Connection, Request},
};

/// Submissions on the way at once while a queue is filled.
const FILLING: usize = 64;

/// How often a drain is looked at. `/metrics` costs the host 50 µs: well under 1 %.
const LOOK: Duration = Duration::from_millis(20);

/// Nobody listens there: no model takes part.
const NO_OLLAMA: &str = "http://127.0.0.1:9";

/// How long anything may take that should be done at once.
const LIMIT: Duration = Duration::from_secs(60);

/// A host with the kinds of the benchmark, on fresh data.
pub(crate) struct Host {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    client: Connection,
    slots: u32,
    holds: Vec<String>,
    dir: PathBuf,
}

/// What the host had done at one instant.
pub(crate) struct Marks {
    at: Instant,
    cpu_us: f64,
    jobs: f64,
    syncs: f64,
}

/// What a host did between two instants, for each job it did.
pub(crate) struct Drained {
    /// Jobs in a second.
    pub(crate) rate: f64,
    /// CPU time of a job, in microseconds.
    pub(crate) cpu_us: f64,
    /// Syncs of the write-ahead log for a job.
    pub(crate) syncs: f64,
}

impl Host {
    /// Starts a host whose class `io` has so many slots.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn start(stand: &Stand, slots: u32) -> Result<Self> {
        let dir = stand.fresh("roughneck")?;
        let plugins = dir.join("plugins");
        std::fs::create_dir(&plugins)?;
        Self::start_in(stand, slots, &dir, &plugins, NO_OLLAMA).await
    }

    /// Starts a host in front of the Ollama at this URL.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn start_before(stand: &Stand, ollama: &str) -> Result<Self> {
        let dir = stand.fresh("roughneck")?;
        let plugins = dir.join("plugins");
        std::fs::create_dir(&plugins)?;
        Self::start_in(stand, 1, &dir, &plugins, ollama).await
    }

    /// Starts a host that serves the no-op of a plugin as well, in the class `io`.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn start_with_plugin(stand: &Stand, slots: u32) -> Result<Self> {
        let dir = stand.fresh("roughneck")?;
        let plugin = dir.join("plugins/fixture");
        std::fs::create_dir_all(&plugin)?;
        std::fs::copy(stand.fixture.join("fixture.wasm"), plugin.join("fixture.wasm"))?;
        let manifest = std::fs::read_to_string(stand.fixture.join("plugin.toml"))?;
        // The host of a bench runs a kind `noop` itself.
        let manifest = manifest
            .replace("class = \"cpu\"", "class = \"io\"")
            .replace("name = \"noop\"", "name = \"noop-in-sandbox\"");
        std::fs::write(plugin.join("plugin.toml"), manifest)?;
        Self::start_in(stand, slots, &dir, &plugin, NO_OLLAMA).await
    }

    async fn start_in(
        stand: &Stand,
        slots: u32,
        dir: &Path,
        plugins: &Path,
        ollama: &str,
    ) -> Result<Self> {
        let config = dir.join("roughneck.toml");
        let text = format!(
            "[guard]\nsubmissions-per-minute = 0\n[intake]\njobs-max = 2000000\n[classes]\nio = {slots}\n[grants.fixture]\nhttp = [\"*\"]\nhttp-private = true\ncallbacks = [\"*\"]\n"
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new(&stand.roughneck);
        // What the operator of this machine has set is not what is measured.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROUGHNECK_") {
                command.env_remove(name);
            }
        }
        // The peer writes no log either.
        command.env("ROUGHNECK_LOG", "warn").args(["serve", "--bench-kinds"]);
        command.args(["--listen", "127.0.0.1:0", "--ollama-url", ollama]);
        command.arg("--config").arg(config).arg("--data-dir").arg(dir.join("data"));
        command.arg("--plugins").arg(plugins);
        let mut process = Process::start("roughneck", &mut command, dir)?;
        let address = process.said("ready at http://").await?.parse()?;
        let client = Connection::open(address).await?;
        let dir = dir.to_path_buf();
        Ok(Self { process, address, client, slots, holds: Vec::new(), dir })
    }

    /// Submits a job and returns its id.
    ///
    /// # Errors
    /// If it is not accepted.
    pub(crate) async fn submit(&mut self, body: &str) -> Result<String> {
        let answer = self.client.send(&Request::post("/jobs", body)).await?.json(202)?;
        answer.get("id").and_then(|id| id.as_str()).map(str::to_owned).context("no id")
    }

    /// Everything about a job.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) async fn job(&mut self, id: &str) -> Result<serde_json::Value> {
        self.client.send(&Request::new("GET", &format!("/jobs/{id}"))).await?.json(200)
    }

    /// Waits until a job is in this state.
    ///
    /// # Errors
    /// If it does not get there.
    pub(crate) async fn reached(&mut self, id: &str, state: &str) -> Result<()> {
        wait_until(&format!("the job {id} is {state}"), LIMIT, async || {
            Ok(self.job(id).await?.get("state").is_some_and(|now| now == state))
        })
        .await
    }

    /// Takes every slot of the class, before all that waits, so that nothing else runs.
    ///
    /// # Errors
    /// If the host does not let it.
    pub(crate) async fn hold(&mut self) -> Result<()> {
        for _ in 0..self.slots {
            let id = self.submit(r#"{"kind":"hold","priority":"urgent"}"#).await?;
            self.holds.push(id);
        }
        for id in self.holds.clone() {
            self.reached(&id, "working").await?;
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.holds) {
            let request = Request::new("DELETE", &format!("/jobs/{id}"));
            drop(self.client.send(&request).await?.json(200)?);
        }
        Ok(())
    }

    /// Fills the queue with the same submission.
    ///
    /// # Errors
    /// If one is not accepted.
    pub(crate) async fn fill(&self, body: &str, jobs: u64) -> Result<()> {
        let request = Request::post("/jobs", body);
        load::run(self.address, FILLING, &request, Until::Count(jobs)).await.map(drop)
    }

    /// Lets `jobs` jobs run that wait behind a hold, at most for `limit`, and measures from the instant
    /// when all slots are free.
    ///
    /// # Errors
    /// If the host does not answer.
    pub(crate) async fn drain(&mut self, jobs: u64, limit: Duration) -> Result<Drained> {
        #[expect(clippy::cast_precision_loss, reason = "compared with a metric")]
        let goal = self.marks().await?.jobs + jobs as f64;
        self.release().await?;
        let before = self.marks().await?;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.marks().await?;
            if now.jobs >= goal || before.at.elapsed() > limit {
                return Ok(now.since(&before));
            }
        }
    }

    /// What the host has done so far.
    ///
    /// # Errors
    /// If it does not tell.
    pub(crate) async fn marks(&mut self) -> Result<Marks> {
        let answer = self.client.send(&Request::new("GET", "/metrics")).await?;
        let text = String::from_utf8_lossy(answer.body);
        Ok(Marks {
            at: Instant::now(),
            cpu_us: self.process.cpu_us(),
            jobs: metric(&text, "roughneck_attempts_total{outcome=\"done\"}")?,
            syncs: metric(&text, "roughneck_store_syncs_total")?,
        })
    }

    /// Kills the host and removes its data.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub(crate) async fn kill(self) -> Result<()> {
        self.process.kill().await?;
        std::fs::remove_dir_all(self.dir).context("its data cannot be removed")
    }
}

impl Marks {
    /// What was done for each job since `before`.
    fn since(&self, before: &Self) -> Drained {
        let jobs = self.jobs - before.jobs;
        Drained {
            rate: jobs / (self.at - before.at).as_secs_f64(),
            cpu_us: (self.cpu_us - before.cpu_us) / jobs,
            syncs: (self.syncs - before.syncs) / jobs,
        }
    }

    /// Syncs since `before`.
    pub(crate) fn syncs_since(&self, before: &Self) -> f64 {
        self.syncs - before.syncs
    }
}

fn metric(text: &str, name: &str) -> Result<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).with_context(|| format!("there is no metric {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\na_total{b=\"c\"} 7\na_total_more 9\na_total 8\n";
        assert!((metric(text, "a_total").unwrap() - 8.0).abs() < 1e-9);
        assert!((metric(text, "a_total{b=\"c\"}").unwrap() - 7.0).abs() < 1e-9);
        assert!(metric(text, "b").is_err());
    }
}
