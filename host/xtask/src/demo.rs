//! `cargo xtask demo`: builds what the demo needs, then hands over to `roughneck demo`.

use std::path::Path;

use anyhow::Result;

use crate::{cargo, guests};

/// Builds the guests and the host, and runs the demo with the arguments given.
///
/// # Errors
/// If something does not build, or the demo fails.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    println!("step 1 of 3: the plugins (the first time a few minutes, afterwards an instant)");
    guests::run(root, &[])?;
    println!(
        "step 2 of 3: the host (the first time two to four minutes: wasmtime and SQLite are built)"
    );
    cargo::run(root, &["build", "--package", "roughneck-cli"])?;
    println!("step 3 of 3: the demo");
    let mut all = vec!["run", "--quiet", "--package", "roughneck-cli", "--", "demo"];
    all.extend(["--plugins", "target/guests"]);
    all.extend(arguments.iter().map(String::as_str));
    cargo::run(root, &all)
}
