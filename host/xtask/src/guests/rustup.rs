//! Ways 1 and 2: the active toolchain, usually rustup's, with its `wasm32-wasip2` target.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::step::Step;
use crate::output::output_of;

/// Its linker writes components, not core modules.
pub(super) const TARGET: &str = "wasm32-wasip2";

/// The compiler's description of itself, if the active toolchain has the target.
pub(super) fn installed() -> Result<Option<String>> {
    let Ok(sysroot) = sysroot() else {
        return Ok(None);
    };
    if !sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Ok(None);
    }
    output_of(Command::new("rustc").arg("-vV")).map(Some)
}

/// Downloads the target for the active toolchain.
pub(super) fn add_target(logs: &Path) -> Result<String> {
    if Command::new("rustup").arg("--version").output().is_err() {
        bail!("rustup is not installed, so the target {TARGET} cannot be added");
    }
    Step {
        name: "rustup-target-add",
        what: format!("adding the target {TARGET} with rustup"),
        why: "the active toolchain cannot build wasm components yet".to_owned(),
        expect: "about 10 s (a download of some 20 MB)",
    }
    // Without its backtrace, the end of rustup's output is the cause.
    .run(logs, Command::new("rustup").env("RUST_BACKTRACE", "0").args(["target", "add", TARGET]))?;
    match installed()? {
        Some(key) => Ok(key),
        None => {
            bail!("rustup added {TARGET}, but not to the toolchain that `rustc` in PATH belongs to")
        }
    }
}

/// The directory of the active toolchain.
pub(super) fn sysroot() -> Result<PathBuf> {
    output_of(Command::new("rustc").args(["--print", "sysroot"])).map(PathBuf::from)
}
