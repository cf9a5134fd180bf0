//! Where the peer comes from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

/// What npm installs. It is installed anew when this has changed.
const LIBRARIES_WANTED: &str = include_str!("../../peer/package.json");

/// Our own programs and what they depend on.
const FILES: [(&str, &str); 3] = [
    ("package.json", LIBRARIES_WANTED),
    ("gateway.js", include_str!("../../peer/gateway.js")),
    ("worker.js", include_str!("../../peer/worker.js")),
];

/// The libraries whose versions are told.
const LIBRARIES: [&str; 2] = ["fastify", "bullmq"];

/// A peer that can be started.
pub(crate) struct Installed {
    /// Where its programs are.
    pub(super) dir: PathBuf,
    /// What it is made of.
    pub(crate) versions: String,
}

impl Installed {
    /// Installs the peer in `dir`; none if this machine lacks a program, which is said.
    ///
    /// # Errors
    /// If the libraries cannot be installed.
    pub(crate) async fn find(dir: &Path) -> Result<Option<Self>> {
        let mut versions = Vec::new();
        for program in ["redis-server", "node", "npm"] {
            match version(program).await {
                Some(version) => versions.push(format!("{program} {version}")),
                None => {
                    eprintln!(
                        "bench: {program} is not on the PATH, so no peer is measured; it needs Redis 7 and Node 20 or newer: \
                         `apt-get install redis-server nodejs npm`, or `brew install redis node`"
                    );
                    return Ok(None);
                }
            }
        }
        versions.pop();
        fs::create_dir_all(dir)?;
        for (name, text) in FILES {
            fs::write(dir.join(name), text)?;
        }
        let stamp = dir.join("installed");
        if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == LIBRARIES_WANTED) {
            install(dir).await?;
            fs::write(stamp, LIBRARIES_WANTED)?;
        }
        for library in LIBRARIES {
            versions.push(format!("{library} {}", library_version(dir, library)?));
        }
        Ok(Some(Self { dir: dir.to_path_buf(), versions: versions.join(", ") }))
    }
}

async fn install(dir: &Path) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(dir);
    let status = npm.status().await.context("npm cannot be started")?;
    if !status.success() {
        bail!("the peer could not be installed; measure without it: --no-peer");
    }
    Ok(())
}

/// What a program says its version is: the first word with a dot.
async fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let word = text.split_whitespace().find(|word| word.contains('.'))?;
    Some(word.trim_start_matches("v=").trim_start_matches('v').to_owned())
}

fn library_version(dir: &Path, library: &str) -> Result<String> {
    let path = dir.join("node_modules").join(library).join("package.json");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is missing; remove {}", path.display(), dir.display()))?;
    let package: Value = serde_json::from_str(&text)?;
    package.get("version").and_then(Value::as_str).map(str::to_owned).context("no version")
}
