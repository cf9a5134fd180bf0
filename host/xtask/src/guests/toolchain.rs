//! Which compiler builds the guests, solved once, in this order:
//!
//! 1. the active toolchain already has `wasm32-wasip2`;
//! 2. `rustup target add wasm32-wasip2`;
//! 3. the system's own compiler with a standard library that is built here for
//!    `wasm32-unknown-unknown` (see [`super::sysroot`]); on Debian its packages are installed first
//!    (see [`super::debian`]).
//!
//! Both targets give the same plugin. The third way exists for machines that reach a distribution's
//! mirror but not Rust's downloads.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Result, bail};

use super::environment;
use super::rustup;
use super::sysroot::Sysroot;

/// Which ways may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All of them, in order.
    Auto,
    /// Ways 1 and 2.
    Rustup,
    /// Way 3, as on a machine without Rust's downloads.
    System,
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "rustup" => Ok(Self::Rustup),
            "system" => Ok(Self::System),
            other => bail!("there is no toolchain `{other}`; use auto, rustup or system"),
        }
    }
}

/// A toolchain that is there and can build guests.
pub(super) enum Toolchain {
    /// The active toolchain with its `wasm32-wasip2` target. The key is the compiler's own
    /// description of itself.
    Wasip2 { key: String },
    /// The system's compiler with a standard library of our own.
    Sysroot(Sysroot),
}

impl Toolchain {
    /// Differs whenever the same sources could give another component.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Wasip2 { key } => key,
            Self::Sysroot(sysroot) => &sysroot.key,
        }
    }

    pub(super) fn target(&self) -> &'static str {
        match self {
            Self::Wasip2 { .. } => rustup::TARGET,
            Self::Sysroot(_) => super::sysroot::TARGET,
        }
    }

    pub(super) fn describe(&self) -> String {
        let release = self
            .key()
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .unwrap_or("of unknown version");
        match self {
            Self::Wasip2 { .. } => format!("rustc {release} for {}", self.target()),
            Self::Sysroot(_) => format!("the system's rustc {release} for {}", self.target()),
        }
    }

    /// A cargo that builds for [`Self::target`] and knows nothing of the cargo that started us.
    pub(super) fn cargo(&self) -> Command {
        match self {
            Self::Wasip2 { .. } => {
                let mut command = Command::new("cargo");
                environment::forget_caller(&mut command);
                command
            }
            Self::Sysroot(sysroot) => sysroot.cargo(),
        }
    }
}

/// A toolchain that needs nothing to be installed or built, if there is one. Touches no network;
/// takes some 100 ms.
pub(super) fn ready(choice: Choice) -> Result<Option<Toolchain>> {
    if choice != Choice::System
        && let Some(key) = rustup::installed()?
    {
        return Ok(Some(Toolchain::Wasip2 { key }));
    }
    if choice == Choice::Rustup {
        return Ok(None);
    }
    Ok(Sysroot::built()?.map(Toolchain::Sysroot))
}

/// Installs what is missing.
///
/// # Errors
/// If no way works: what was tried, why it failed, and what a person can do.
pub(super) fn install(choice: Choice, logs: &Path) -> Result<Toolchain> {
    let mut tried = Vec::new();
    if choice != Choice::System {
        match rustup::add_target(logs) {
            Ok(key) => return Ok(Toolchain::Wasip2 { key }),
            Err(error) => tried.push(format!("rustup: {error:#}")),
        }
    }
    if choice != Choice::Rustup {
        if !tried.is_empty() {
            eprintln!("        not possible; next, the system's own compiler");
        }
        match super::debian::prepare(logs).and_then(|()| Sysroot::build(logs)) {
            Ok(sysroot) => return Ok(Toolchain::Sysroot(sysroot)),
            Err(error) => tried.push(format!("system compiler: {error:#}")),
        }
    }
    bail!(
        "no Rust compiler on this machine can build wasm guests. Tried:\n\n- {}\n\nWhat helps \
         everywhere: install rustup (https://rustup.rs), run `rustup target add wasm32-wasip2`, \
         then `cargo xtask guests` again.",
        tried.join("\n- ")
    )
}

#[cfg(test)]
mod tests {
    use super::{Choice, Toolchain};

    #[test]
    fn a_toolchain_names_the_release_of_its_compiler() {
        let toolchain =
            Toolchain::Wasip2 { key: "rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22".to_owned() };
        assert_eq!(toolchain.describe(), "rustc 1.95.0 for wasm32-wasip2");
    }

    #[test]
    fn an_unknown_toolchain_is_refused_with_the_known_ones() {
        let error = "nightly".parse::<Choice>().unwrap_err().to_string();
        assert_eq!(error, "there is no toolchain `nightly`; use auto, rustup or system");
    }
}
