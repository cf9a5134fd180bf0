//! Where the bench runs: the programs it measures, and a folder for what they write.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail};

use crate::{options::Options, peer::Installed};

/// The programs, and a place for their data.
pub(crate) struct Stand {
    /// What the caller chose.
    pub(crate) options: Options,
    /// The binary that is measured.
    pub(crate) roughneck: PathBuf,
    /// This program, for its server without a store.
    pub(crate) bench: PathBuf,
    /// The plugin whose kind `echo` is a no-op in the sandbox.
    pub(crate) fixture: PathBuf,
    /// The peer, where it is to be had.
    pub(crate) peer: Option<Installed>,
    scratch: PathBuf,
    runs: PathBuf,
    last_run: AtomicU32,
}

impl Stand {
    /// Finds everything. This program lies in `target/release`, and so does what it measures.
    ///
    /// # Errors
    /// If something is not built.
    pub(crate) fn find(options: Options) -> Result<Self> {
        let bench = std::env::current_exe()?;
        let target = bench.ancestors().nth(2).context("the bench has no target folder")?;
        let scratch = target.join("bench");
        let runs = scratch.join("runs");
        // What an earlier run has left.
        drop(fs::remove_dir_all(&runs));
        Ok(Self {
            roughneck: built(&bench.with_file_name("roughneck"))?,
            fixture: built(&target.join("fixtures/fixture"))?,
            options,
            bench: bench.clone(),
            peer: None,
            scratch,
            runs,
            last_run: AtomicU32::new(0),
        })
    }

    /// With the peer of the queue beside the host, if it is wanted and to be had.
    ///
    /// # Errors
    /// If it cannot be installed.
    pub(crate) async fn with_peer(mut self) -> Result<Self> {
        if self.options.peer {
            self.peer = Installed::find(&self.scratch.join("peer")).await?;
        }
        Ok(self)
    }

    /// A new folder for one process.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let number = self.last_run.fetch_add(1, Ordering::Relaxed);
        let dir = self.runs.join(format!("{number}-{name}"));
        fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        Ok(dir)
    }

    /// The machine, the rounds and the peer of these versions, in a sentence each.
    pub(crate) fn describe(&self, peer: Option<&str>) -> String {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let peer = match peer {
            Some(versions) => format!("The peer is {versions}."),
            None => "No peer was measured.".to_owned(),
        };
        format!(
            "{cores} cores, {}. Median of {} rounds [least–greatest], {} s of load a round. {peer}\n",
            std::env::consts::OS,
            self.options.rounds,
            self.options.span.as_secs(),
        )
    }
}

fn built(path: &Path) -> Result<PathBuf> {
    if !path.exists() {
        bail!("{} is missing; `cargo xtask bench` builds it", path.display());
    }
    Ok(path.to_path_buf())
}
