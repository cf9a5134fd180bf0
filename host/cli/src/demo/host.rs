//! The host of the demo: `roughneck serve` as a child process with a data folder of its own.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::client;
use crate::{commands::serve::READY, signing_secret};

/// How long the host may take until it is ready; a first start compiles the plugins.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// Lines of the host's log that are shown when something went wrong.
const LOG_LINES: usize = 10;

/// The demo's receiver is on this machine, and its plugins get what their manifests ask for.
const CONFIG: &str = r#"
[callbacks]
allow-private = true

[grants.site-health]
http = ["*"]
callbacks = ["alerts"]
"#;

/// A host from its first moment on: whatever becomes of it, [`Self::stop`] ends it.
pub(super) struct Host {
    child: Child,
    /// Kept open: a host whose output nobody reads must not be stopped by it.
    output: Lines<BufReader<ChildStdout>>,
    /// Removed with the host.
    data_dir: TempDir,
    started: Instant,
}

/// A host that answers.
pub(super) struct Ready {
    pub(super) url: String,
    /// What its webhooks are signed with.
    pub(super) secret: String,
    started_in: Duration,
    plugins: Vec<String>,
    data_dir: String,
}

impl Host {
    /// Starts the host on a free port.
    pub(super) fn start(plugins: &Path, ollama_url: &str) -> Result<Self> {
        ensure!(
            plugins.is_dir(),
            "there are no built plugins in {}; run `cargo xtask guests`",
            plugins.display()
        );
        // For this user alone, and made just now: nobody can have put a link in it.
        let data_dir = tempfile::Builder::new()
            .prefix("roughneck-demo-")
            .tempdir()
            .context("no data folder can be made")?;
        let config = data_dir.path().join("roughneck.toml");
        std::fs::write(&config, CONFIG)?;
        let log = std::fs::File::create(data_dir.path().join("host.log"))?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--ollama-url", ollama_url])
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(data_dir.path())
            .arg("--plugins")
            .arg(plugins)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            // A Ctrl-C on the terminal does not reach it: the demo stops it in its own time, and a second signal would
            // stop it at once.
            .process_group(0)
            .spawn()
            .context("`roughneck serve` cannot be started")?;
        let stdout = child.stdout.take().context("the host has no output")?;
        Ok(Self { child, output: BufReader::new(stdout).lines(), data_dir, started })
    }

    /// Waits until it is ready.
    pub(super) async fn ready(&mut self) -> Result<Ready> {
        let line = tokio::time::timeout(START_LIMIT, self.output.next_line()).await;
        let line = line.ok().and_then(Result::ok).flatten();
        let Some(url) = line.as_deref().and_then(|line| line.strip_prefix(READY)) else {
            bail!("the host did not become ready");
        };
        let (url, started_in) = (url.trim().to_owned(), self.started.elapsed());
        let secret = std::fs::read_to_string(self.data_dir.path().join(signing_secret::FILE))?;
        Ok(Ready {
            secret: secret.trim().to_owned(),
            started_in,
            plugins: plugin_names(&url).await?,
            data_dir: self.data_dir.path().display().to_string(),
            url,
        })
    }

    /// The end of the host's log, for a story that went wrong.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.data_dir.path().join("host.log"));
        let log = log.unwrap_or_else(|error| format!("(its log cannot be read: {error})"));
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).copied();
        format!("the host said last:\n{}\n", last.collect::<Vec<_>>().join("\n"))
    }

    /// Stops the host as an operator would, and removes its data.
    pub(super) async fn stop(mut self) -> Result<()> {
        let stopped = self.end().await;
        if stopped.is_err() {
            // Nothing may write any more into what is removed.
            self.child.kill().await.context("the host cannot be killed")?;
        }
        let shown = self.data_dir.path().display().to_string();
        self.data_dir.close().with_context(|| format!("{shown} cannot be removed"))?;
        stopped
    }

    async fn end(&mut self) -> Result<()> {
        // It is none if the host has ended by itself, which its status tells.
        if let Some(pid) = self.child.id() {
            // A signal by the system's own tool keeps this crate free of unsafe code.
            let kill = Command::new("kill").arg(pid.to_string()).status().await;
            kill.context("`kill` cannot be run")?;
        }
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait())
            .await
            .context("the host did not stop in time")??;
        ensure!(status.success(), "the host ended with {status}");
        Ok(())
    }
}

impl Ready {
    pub(super) fn story(&self) -> String {
        format!(
            "roughneck serve is ready at {} after {} ms\nplugins: {}; data in {}",
            self.url,
            self.started_in.as_millis(),
            self.plugins.join(", "),
            self.data_dir
        )
    }
}

async fn plugin_names(url: &str) -> Result<Vec<String>> {
    let body: Value =
        client()?.get(format!("{url}/plugins")).send().await?.error_for_status()?.json().await?;
    let plugins = body["plugins"].as_array().context("the host lists no plugins")?;
    Ok(plugins.iter().filter_map(|plugin| Some(plugin["name"].as_str()?.to_owned())).collect())
}
