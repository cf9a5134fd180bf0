//! The host as a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use roughneck_testkit::eventually;
use tempfile::TempDir;

use crate::printed::Printed;

/// Long enough for a busy machine; no test waits so long unless it fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn binary() -> PathBuf {
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("roughneck");
    assert!(path.exists(), "{} is missing; `cargo xtask test` builds it first", path.display());
    path
}

/// The folder of built plugins (`guests`) or misbehaving ones (`fixtures`).
pub(crate) fn built(what: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(what);
    assert!(path.is_dir(), "{} is missing; `cargo xtask guests` builds it", path.display());
    path
}

/// What a host is started with. The data folder outlives the host, so that it can be started again.
pub(crate) struct Setup {
    dir: Arc<TempDir>,
    listen: String,
    config: String,
    ollama: String,
    plugins: Vec<PathBuf>,
    /// What `ulimit` is told before.
    ulimit: Option<String>,
}

impl Setup {
    /// A host with all plugins and fixtures, granted what they ask for.
    pub(crate) fn new(ollama: &str) -> Self {
        let config = r#"
            stop-limit = "30s"
            [intake]
            disk-free-min = "0B"
            [callbacks]
            allow-private = true
            [grants.site-health]
            http = ["*"]
            http-private = true
            callbacks = ["*"]
            [grants.family]
            submit = ["family-*"]
            [grants.fixture]
            http = ["*"]
            http-private = true
            callbacks = ["*"]
        "#;
        Self {
            dir: Arc::new(tempfile::tempdir().unwrap()),
            listen: "127.0.0.1:0".to_owned(),
            config: config.to_owned(),
            ollama: ollama.to_owned(),
            plugins: vec![built("guests"), built("fixtures")],
            ulimit: None,
        }
    }

    pub(crate) fn config(mut self, from: &str, to: &str) -> Self {
        assert!(self.config.contains(from), "{from}");
        self.config = self.config.replace(from, to);
        self
    }

    pub(crate) fn more_config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self
    }

    pub(crate) fn ollama(mut self, url: &str) -> Self {
        self.ollama = url.to_owned();
        self
    }

    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen = address.to_owned();
        self
    }

    pub(crate) fn plugins(mut self, plugins: &Path) -> Self {
        self.plugins = vec![plugins.to_path_buf()];
        self
    }

    /// Limits what the processes may use, as a shell does.
    pub(crate) fn ulimit(mut self, options: &str) -> Self {
        self.ulimit = Some(options.to_owned());
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The secret that webhooks of this host are signed with.
    pub(crate) fn secret(&self) -> String {
        fs::read_to_string(self.data_dir().join("webhook-secret")).unwrap().trim().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// `roughneck` with its arguments, where this host lives and with its configuration.
    pub(crate) fn about(&self, arguments: &[&str]) -> Command {
        let config = self.dir.path().join("roughneck.toml");
        fs::write(&config, &self.config).unwrap();
        let mut command = self.program();
        command.current_dir(self.dir.path());
        // What the tester's own host is configured with is not the test's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROUGHNECK_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).arg("--config").arg(config);
        command.arg("--data-dir").arg(self.data_dir()).args(["--ollama-url", &self.ollama]);
        for plugins in &self.plugins {
            command.arg("--plugins").arg(plugins);
        }
        command
    }

    fn program(&self) -> Command {
        let Some(ulimit) = &self.ulimit else { return Command::new(binary()) };
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {ulimit} && exec \"$0\" \"$@\"")]).arg(binary());
        shell
    }

    pub(crate) fn command(&self) -> Command {
        self.about(&["serve", "--listen", &self.listen])
    }

    pub(crate) fn start(&self) -> Host {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let printed = Printed::of(child.stdout.take().unwrap());
        // Killed if it does not get ready, with its log shown.
        let mut host = Host { url: String::new(), child, dir: Arc::clone(&self.dir), printed };
        let first = host.printed.next();
        let Some(url) = first.as_deref().and_then(|line| line.strip_prefix("ready at ")) else {
            panic!("the host did not start; it printed {first:?}");
        };
        host.url = url.trim().to_owned();
        host
    }

    /// Starts a host that must refuse to, and returns what it says.
    pub(crate) fn refusal(&self) -> String {
        let output = self.command().output().unwrap();
        assert!(!output.status.success(), "the host should have refused to start");
        assert!(output.stdout.is_empty(), "a host that does not start is not ready");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// A running host. It is killed when it is dropped.
pub(crate) struct Host {
    pub(crate) url: String,
    child: Child,
    dir: Arc<TempDir>,
    /// Kept: a process must not end for want of somebody who reads it.
    printed: Printed,
}

impl Host {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args(["-s", name]).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success(), "kill -s {name}");
    }

    /// Waits until the process has ended, and lets the stand-ins of the test go on meanwhile.
    pub(crate) async fn wait(mut self) -> ExitStatus {
        eventually("the host has ended", LIMIT, async || !self.runs()).await.unwrap();
        self.child.wait().unwrap()
    }

    /// Whether the process still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) async fn kill_9(self) {
        self.signal("KILL");
        self.wait().await;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("the host said:\n{log}");
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
