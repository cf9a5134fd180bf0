//! `cargo xtask check`: everything that can be wrong without running a test.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::output::output_of;
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
    if output_of(Command::new("cargo-deny").arg("--version")).is_err() {
        println!(
            "  cargo-deny is not installed, so known vulnerabilities are not looked up. Licences and sources were \
             checked by tidy. To have it: `cargo install --locked cargo-deny`"
        );
        return Ok(());
    }
    let check = |what: &[&str]| {
        let workspaces = ["Cargo.toml", "plugins/Cargo.toml"];
        workspaces.iter().try_for_each(|manifest| {
            cargo::run(root, &[&["deny", "--manifest-path", manifest, "check"], what].concat())
        })
    };
    check(&["bans", "licenses", "sources"])?;
    // Whether the database can be had is the network's affair. What stands in it is ours.
    if let Err(error) = cargo::run(root, &["deny", "fetch", "db"]) {
        println!(
            "  known vulnerabilities are not looked up, their database is out of reach: {error:#}"
        );
        return Ok(());
    }
    check(&["advisories"])
}
