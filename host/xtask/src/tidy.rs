//! `cargo xtask tidy`: the rules of the house that no compiler knows.

mod arrows;
mod dependencies;
mod files;
mod metadata;

use std::path::Path;

use anyhow::{Result, bail};

/// A breach of a rule: where, and what to do.
pub(crate) struct Breach(pub(crate) String);

/// Checks every rule and lists all breaches.
///
/// # Errors
/// If there is a breach.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut breaches = files::check(root)?;
    let host = metadata::packages(root)?;
    breaches.extend(arrows::check(&host));
    breaches.extend(dependencies::check(&host));
    breaches.extend(dependencies::check(&metadata::packages(&root.join("plugins"))?));
    for Breach(text) in &breaches {
        println!("  {text}");
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches of the rules of the house", breaches.len())
}
