//! The peer: Fastify 5 in front of BullMQ 5 on Redis with `appendfsync always`, as small as its own
//! documentation has it. Three processes, like in production.

mod install;

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    process::{Process, free_port},
    stand::Stand,
};

pub(crate) use install::Installed;

/// A running peer, on fresh data.
pub(crate) struct Peer {
    redis: Process,
    gateway: Process,
    /// Its worker, which is driven by lines.
    pub(crate) worker: Process,
    /// Where its HTTP surface listens.
    pub(crate) address: SocketAddr,
}

/// What a worker did.
pub(crate) struct Drained {
    /// Jobs in a second.
    pub(crate) rate: f64,
    /// CPU time of worker and Redis for a job, in microseconds.
    pub(crate) cpu_us: f64,
}

impl Peer {
    /// Starts all three at once and waits until they are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub(crate) async fn start(
        stand: &Stand,
        installed: &Installed,
        concurrency: u32,
    ) -> Result<Self> {
        let dir = stand.fresh("peer")?;
        let port = free_port()?.to_string();
        let mut redis = Command::new("redis-server");
        redis.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
        redis.args(["--appendonly", "yes", "--appendfsync", "always"]);
        let node = |script: &str| {
            let mut command = Command::new("node");
            command.arg(installed.dir.join(script)).arg(&port);
            command
        };
        let mut redis = Process::start("redis", &mut redis, &dir)?;
        let mut gateway = Process::start("gateway", &mut node("gateway.js"), &dir)?;
        let mut worker = node("worker.js");
        let mut worker = Process::start("worker", worker.arg(concurrency.to_string()), &dir)?;
        redis.said("Ready to accept connections").await?;
        let address = gateway.said("ready at http://").await?.parse()?;
        worker.said("ready").await?;
        Ok(Self { redis, gateway, worker, address })
    }

    /// Puts jobs into the queue, and none of them runs.
    ///
    /// # Errors
    /// If a process has ended.
    pub(crate) async fn fill(&mut self, body: &str, jobs: u64) -> Result<()> {
        self.worker.tell(&format!("fill {jobs} {body}")).await?;
        self.worker.said("filled").await.map(drop)
    }

    /// Lets the jobs run, and measures from the first handler to the last completion.
    ///
    /// # Errors
    /// If a process has ended.
    pub(crate) async fn drain(&mut self, jobs: u64) -> Result<Drained> {
        let before = self.worker.cpu_us() + self.redis.cpu_us();
        self.worker.tell(&format!("drain {jobs}")).await?;
        let seconds: f64 = self.worker.said("drained ").await?.parse()?;
        let cpu_us = self.worker.cpu_us() + self.redis.cpu_us() - before;
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        let jobs = jobs as f64;
        Ok(Drained { rate: jobs / seconds, cpu_us: cpu_us / jobs })
    }

    /// Lets the worker run from now on.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) async fn run(&mut self) -> Result<()> {
        self.worker.tell("run").await
    }

    /// When the handlers of the jobs with a `seq` began: the number, and microseconds of the wall clock.
    ///
    /// # Errors
    /// If the worker has ended.
    pub(crate) async fn began(&mut self) -> Result<Vec<(usize, i64)>> {
        self.worker.tell("began").await?;
        let told = self.worker.said("began ").await?;
        serde_json::from_str(&told).context("the worker tells no list")
    }

    /// CPU time of all three, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.all().map(Process::cpu_us).sum()
    }

    /// Resident memory of all three, in MiB.
    pub(crate) fn rss_mib(&self) -> f64 {
        self.all().map(Process::rss_mib).sum()
    }

    /// What all three caused to be written, in KiB.
    pub(crate) fn written_kib(&self) -> f64 {
        self.all().map(Process::written_kib).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Process> {
        [&self.redis, &self.gateway, &self.worker].into_iter()
    }

    /// Kills all three, Redis last.
    ///
    /// # Errors
    /// If one cannot be killed.
    pub(crate) async fn kill(self) -> Result<()> {
        self.worker.kill().await?;
        self.gateway.kill().await?;
        self.redis.kill().await
    }
}
