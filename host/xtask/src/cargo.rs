//! Calling cargo for a workspace.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The cargo that runs this task, in the workspace at `dir`.
pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo sets for this package must not leak into another build.
    command.current_dir(dir).env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    command
}

/// Runs cargo and shows its output.
///
/// # Errors
/// If it does not succeed.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Result<()> {
    run_with(dir, arguments, &[])
}

/// Like [`run`], with environment variables.
///
/// # Errors
/// If it does not succeed.
pub(crate) fn run_with(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let status = command(dir)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("`cargo {}` failed; its output is above", arguments.join(" "));
    }
    Ok(())
}
