//! `cargo xtask bench queue` and `bench gateway`: build the release binary and measure it. The load generator is the
//! crate `roughneck-bench`; with `--quick` either takes less than three minutes. `cargo xtask bench lane`
//! simulates the lane's planner in seconds, and needs no release build.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{cargo, guests};

/// Runs the bench that is named.
///
/// # Errors
/// If something does not build, or the bench fails.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    match arguments.split_first().map(|(what, rest)| (what.as_str(), rest)) {
        Some((bench @ ("queue" | "gateway"), options)) => measure(root, bench, options),
        Some(("lane", [])) => {
            cargo::run(root, &["run", "--quiet", "--package", "roughneck-bench", "--", "lane"])
        }
        Some(_) | None => bail!(
            "usage: cargo xtask bench queue|gateway [--quick] [--only CELL] [--no-peer] | cargo xtask bench lane"
        ),
    }
}

/// Builds what is measured and what measures, and measures.
fn measure(root: &Path, bench: &str, options: &[String]) -> Result<()> {
    guests::run(root, &[])?;
    let started = Instant::now();
    println!("building the release binary (the first time five to ten minutes)");
    let packages = ["--package", "roughneck-cli", "--package", "roughneck-bench"];
    cargo::run(root, &[&["build", "--release"], packages.as_slice()].concat())?;
    println!("built in {:.0} s", started.elapsed().as_secs_f64());
    let program = root.join("target/release/roughneck-bench");
    let status = Command::new(&program)
        .arg(bench)
        .args(options)
        .status()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    if !status.success() {
        bail!("the bench failed; what it said is above");
    }
    Ok(())
}
