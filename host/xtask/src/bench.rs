//! `cargo xtask bench queue`: builds the release binary and measures it. The load generator is the crate
//! `roughneck-bench`; `bench queue --quick` takes less than three minutes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{cargo, guests};

/// Builds what is measured and what measures, and measures.
///
/// # Errors
/// If something does not build, or the bench fails.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let Some(("queue", options)) =
        arguments.split_first().map(|(what, rest)| (what.as_str(), rest))
    else {
        bail!("usage: cargo xtask bench queue [--quick] [--only CELL] [--no-peer]");
    };
    guests::run(root, &[])?;
    let started = Instant::now();
    println!("building the release binary (the first time five to ten minutes)");
    let packages = ["--package", "roughneck-cli", "--package", "roughneck-bench"];
    cargo::run(root, &[&["build", "--release"], packages.as_slice()].concat())?;
    println!("built in {:.0} s", started.elapsed().as_secs_f64());
    let bench = root.join("target/release/roughneck-bench");
    let status = Command::new(&bench)
        .arg("queue")
        .args(options)
        .status()
        .with_context(|| format!("{} cannot be started", bench.display()))?;
    if !status.success() {
        bail!("the bench failed; what it said is above");
    }
    Ok(())
}
