//! `cargo xtask guests`: builds every Rust guest of `plugins/` to a component.
//!
//! Real plugins land in `target/guests/<plugin>/`, which is a plugin folder ready for `roughneck
//! serve --plugins target/guests`; the misbehaving ones of `plugins/fixtures/` land in
//! `target/fixtures/<plugin>/`. A guest is built again only when the *content* of what it is made
//! of changed; otherwise neither cargo nor a compiler is started. See [`toolchain`] for where the
//! compiler comes from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use self::guest::Guest;
use self::stamp::Stamp;
use self::step::Step;
use self::toolchain::{Choice, Toolchain};
use crate::output::output_of;

mod debian;
mod digest;
mod environment;
mod guest;
mod lock;
mod publish;
mod rustup;
#[cfg(test)]
mod scratch;
mod stamp;
mod step;
mod sysroot;
mod toolchain;

/// Cargo's name of the crate that the guests share.
const SDK: &str = "roughneck-sdk";

/// Where things lie in the repository.
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The second cargo workspace: the guests and their SDK.
    fn workspace(&self) -> PathBuf {
        self.root.join("plugins")
    }

    fn wit(&self) -> PathBuf {
        self.root.join("wit")
    }

    /// A plugin folder for `roughneck serve --plugins`.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.join("target/guests")
    }

    /// Misbehaving guests for the tests of the sandbox.
    pub(crate) fn fixtures(&self) -> PathBuf {
        self.root.join("target/fixtures")
    }

    fn stamps(&self) -> PathBuf {
        self.root.join("target/xtask/stamps")
    }

    /// Where a file is written before it is renamed to where it belongs.
    fn staging(&self) -> PathBuf {
        self.root.join("target/xtask/staging")
    }

    fn lock(&self) -> PathBuf {
        self.root.join("target/xtask/guests.lock")
    }

    fn logs(&self) -> PathBuf {
        self.root.join("target/xtask/logs")
    }
}

/// The task as the command line calls it.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let choice = match arguments {
        [] => Choice::Auto,
        [flag, value] if flag == "--toolchain" => value.parse()?,
        _ => bail!("usage: cargo xtask guests [--toolchain auto|rustup|system]"),
    };
    build(&Layout::new(root), choice)
}

/// Brings every guest up to date. Other tasks call this before they need a plugin.
pub(crate) fn build(layout: &Layout, choice: Choice) -> Result<()> {
    let started = Instant::now();
    let _lock = lock::acquire(&layout.lock())?;
    let guests = guest::discover(layout)?;
    let shared = digest::shared(layout)?;
    publish::remove_orphans(layout, &guests)?;

    // A toolchain that is ready is asked first, because its version is part of what a guest is made
    // of; nothing is installed before something must be built.
    let ready = toolchain::ready(choice)?;
    if let Some(toolchain) = &ready
        && stale(layout, &guests, toolchain, &shared)?.is_empty()
    {
        let elapsed_ms = started.elapsed().as_millis();
        eprintln!("guests: all {} are up to date ({elapsed_ms} ms)", guests.len());
        return Ok(());
    }

    let toolchain = match ready {
        Some(toolchain) => toolchain,
        None => toolchain::install(choice, &layout.logs())?,
    };
    let stale = stale(layout, &guests, &toolchain, &shared)?;
    let first = !target_dir(layout).join(toolchain.target()).is_dir();
    if !first {
        forget_artifacts(layout, &toolchain, &stale)?;
    }
    compile(layout, &toolchain, &stale, first)?;
    for (guest, stamp) in &stale {
        publish::publish(layout, &toolchain, guest, stamp)?;
    }
    eprintln!(
        "guests: built {} of {} ({:.1} s): {} and {}",
        stale.len(),
        guests.len(),
        started.elapsed().as_secs_f64(),
        layout.plugins().display(),
        layout.fixtures().display(),
    );
    Ok(())
}

/// The guests whose content is not what their stamp says, with the stamp that they will have.
fn stale<'a>(
    layout: &Layout,
    guests: &'a [Guest],
    toolchain: &Toolchain,
    shared: &str,
) -> Result<Vec<(&'a Guest, Stamp)>> {
    let mut stale = Vec::new();
    for guest in guests {
        let stamp = Stamp::of(guest, toolchain.key(), shared)?;
        if !stamp.is_current(layout, guest) {
            stale.push((guest, stamp));
        }
    }
    Ok(stale)
}

/// Makes cargo compile what we know has changed. Left to itself it compares times, and a source
/// that came back with an old time would leave the old component under a new stamp.
fn forget_artifacts(
    layout: &Layout,
    toolchain: &Toolchain,
    stale: &[(&Guest, Stamp)],
) -> Result<()> {
    let mut command = cargo(layout, toolchain, "clean");
    for (guest, _) in stale {
        command.args(["--package", &guest.package]);
    }
    if !stale.iter().all(|(guest, stamp)| stamp.has_same_shared(layout, guest)) {
        command.args(["--package", SDK]);
    }
    output_of(&mut command).map(drop).context("cargo cannot clean the guests' artifacts")
}

/// One cargo call for all of them: cargo overlaps the crates that they share.
fn compile(
    layout: &Layout,
    toolchain: &Toolchain,
    stale: &[(&Guest, Stamp)],
    first: bool,
) -> Result<()> {
    let names: Vec<&str> = stale.iter().map(|(guest, _)| guest.name.as_str()).collect();
    let mut command = cargo(layout, toolchain, "build");
    for (guest, _) in stale {
        command.args(["--package", &guest.package]);
    }
    Step {
        name: "build-guests",
        what: format!("building {} with {}", names.join(", "), toolchain.describe()),
        why: if first { "this is the first build" } else { "what they are made of changed" }
            .to_owned(),
        expect: if first { "under a minute, most of it the binding generator" } else { "seconds" },
    }
    .run(&layout.logs(), &mut command)
    .context("the guests did not compile")
}

fn cargo(layout: &Layout, toolchain: &Toolchain, verb: &str) -> Command {
    let mut command = toolchain.cargo();
    command
        .current_dir(layout.workspace())
        .args([verb, "--release", "--target", toolchain.target(), "--target-dir"])
        .arg(target_dir(layout));
    command
}

/// The guests' own target directory: they share no artifact with the host's workspace.
fn target_dir(layout: &Layout) -> PathBuf {
    layout.workspace().join("target")
}
