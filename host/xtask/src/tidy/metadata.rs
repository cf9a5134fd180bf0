//! A workspace as cargo describes it.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cargo;
use crate::output::output_of;

/// The crates of the workspace at `dir`, and all that they depend on, as its lock file has them.
///
/// # Errors
/// If cargo cannot tell.
pub(super) fn packages(dir: &Path) -> Result<Vec<Value>> {
    let asked = ["metadata", "--format-version", "1", "--locked"];
    let told = output_of(cargo::command(dir).args(asked));
    let told = told.with_context(|| format!("{} cannot be judged", dir.display()))?;
    let metadata: Value = serde_json::from_str(&told).context("cargo metadata is no JSON")?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    Ok(packages.context("cargo metadata lists no packages")?.clone())
}

/// What the description of a package, or of a dependency of it, says under `key`.
pub(super) fn text<'a>(described: &'a Value, key: &str) -> Option<&'a str> {
    described.get(key)?.as_str()
}
