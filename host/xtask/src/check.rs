//! `cargo xtask check`: everything that can be wrong without running a test.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{cargo, tidy};

/// Runs the checks, the quickest first.
///
/// # Errors
/// At the first check that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    let plugins = root.join("plugins");
    println!("check: format");
    cargo::run(root, &["fmt", "--all", "--check"])?;
    cargo::run(&plugins, &["fmt", "--all", "--check"])?;
    println!("check: tidy");
    tidy::run(root)?;
    println!("check: clippy");
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    cargo::run(root, &clippy)?;
    cargo::run(&plugins, &clippy)?;
    println!("check: documentation");
    let doc = ["doc", "--workspace", "--no-deps"];
    cargo::run_with(root, &doc, &[("RUSTDOCFLAGS", "--deny warnings")])?;
    println!("check: dependencies");
    deny(root)
}

/// cargo-deny, where it is installed. Licences and sources are checked by `tidy` in any case.
fn deny(root: &Path) -> Result<()> {
    let installed = Command::new("cargo-deny")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if installed {
        return cargo::run(root, &["deny", "check", "bans", "licenses", "sources"]);
    }
    println!(
        "  cargo-deny is not installed, so known vulnerabilities are not looked up: that needs its \
         advisory database from the network. Licences and sources were checked by tidy. \
         To have it: `cargo install --locked cargo-deny`, then `cargo deny check`"
    );
    Ok(())
}
