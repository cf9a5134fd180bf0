//! The host of the demo: `roughneck serve` as a child process with a data folder of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
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

pub(super) struct Host {
    child: Child,
    /// Kept open: a host whose output nobody reads must not be stopped by it.
    _output: Lines<BufReader<ChildStdout>>,
    url: String,
    secret: String,
    data_dir: PathBuf,
    started_in: Duration,
    plugins: Vec<String>,
}

impl Host {
    /// Starts the host on a free port and waits until it is ready.
    pub(super) async fn start(plugins: &Path, ollama_url: &str) -> Result<Self> {
        ensure!(
            plugins.is_dir(),
            "there are no built plugins in {}; run `cargo xtask guests`",
            plugins.display()
        );
        let data_dir = std::env::temp_dir().join(format!("roughneck-demo-{}", std::process::id()));
        std::fs::create_dir_all(&data_dir)
            .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
        let config = data_dir.join("roughneck.toml");
        std::fs::write(&config, CONFIG)?;
        let log = std::fs::File::create(data_dir.join("host.log"))?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--ollama-url", ollama_url])
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(&data_dir)
            .arg("--plugins")
            .arg(plugins)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .in_own_group()
            .spawn()
            .context("`roughneck serve` cannot be started")?;
        let stdout = child.stdout.take().context("the host has no output")?;
        let mut output = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, output.next_line()).await;
        let Some(url) = line
            .ok()
            .and_then(Result::ok)
            .flatten()
            .and_then(|line| line.strip_prefix(READY).map(|url| url.trim().to_owned()))
        else {
            let log = std::fs::read_to_string(data_dir.join("host.log")).unwrap_or_default();
            bail!("the host did not become ready; its log says:\n{log}");
        };
        let started_in = started.elapsed();
        let secret =
            std::fs::read_to_string(data_dir.join(signing_secret::FILE))?.trim().to_owned();
        let plugins = plugin_names(&url).await?;
        Ok(Self { child, _output: output, url, secret, data_dir, started_in, plugins })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn story(&self) -> String {
        format!(
            "roughneck serve is ready at {} after {} ms\nplugins: {}; data in {}",
            self.url,
            self.started_in.as_millis(),
            self.plugins.join(", "),
            self.data_dir.display()
        )
    }

    /// The end of the host's log, for a story that went wrong.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.data_dir.join("host.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).copied();
        format!("the host said last:\n{}\n", last.collect::<Vec<_>>().join("\n"))
    }

    /// Stops the host as an operator would, and removes its data.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().context("the host has gone")?;
        // A signal by the system's own tool keeps this crate free of unsafe code.
        Command::new("kill").arg(pid.to_string()).status().await.context("`kill` cannot be run")?;
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait())
            .await
            .context("the host did not stop in time")??;
        ensure!(status.success(), "the host ended with {status}");
        std::fs::remove_dir_all(&self.data_dir)
            .with_context(|| format!("{} cannot be removed", self.data_dir.display()))
    }
}

/// A child that a Ctrl-C on the terminal does not reach: the demo stops it in its own time, and a
/// second signal would stop it at once.
trait InOwnGroup {
    fn in_own_group(&mut self) -> &mut Self;
}

impl InOwnGroup for Command {
    fn in_own_group(&mut self) -> &mut Self {
        #[cfg(unix)]
        self.process_group(0);
        self
    }
}

async fn plugin_names(url: &str) -> Result<Vec<String>> {
    let body: Value =
        client()?.get(format!("{url}/plugins")).send().await?.error_for_status()?.json().await?;
    let plugins = body["plugins"].as_array().context("the host lists no plugins")?;
    Ok(plugins.iter().filter_map(|plugin| Some(plugin["name"].as_str()?.to_owned())).collect())
}
