//! The environment of the guests' cargo.
//!
//! `cargo xtask` is itself started by cargo, which hands down its own toolchain, flags and library
//! path. A second cargo, above all one of another toolchain, must not see them; what says how to
//! reach the registry must stay.

use std::process::Command;

/// Variables that belong to the calling cargo or compiler, by exact name.
const INHERITED: &[&str] = &[
    "CARGO",
    "CARGO_CRATE_NAME",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_MAKEFLAGS",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// Families of such variables. `CARGO_TARGET_` holds linkers and flags of the user's own builds and
/// the target directory.
const INHERITED_PREFIXES: &[&str] =
    &["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PROFILE_", "CARGO_TARGET_", "RUSTC"];

/// What a toolchain that is not rustup's must not see either: rustup's choice and the libraries of
/// its compiler.
const RUSTUP_PREFIXES: &[&str] = &["RUSTUP_", "LD_LIBRARY_PATH", "DYLD_"];

/// Removes what the calling cargo left behind.
pub(super) fn forget_caller(command: &mut Command) {
    forget(command, is_of_caller);
}

/// Removes what would lead a system compiler to rustup's files.
pub(super) fn forget_rustup(command: &mut Command) {
    forget(command, is_of_rustup);
}

fn forget(command: &mut Command, unwanted: fn(&str) -> bool) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(unwanted) {
            command.env_remove(name);
        }
    }
}

fn is_of_caller(name: &str) -> bool {
    INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_of_rustup(name: &str) -> bool {
    RUSTUP_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{is_of_caller, is_of_rustup};

    #[test]
    fn the_callers_toolchain_and_flags_are_forgotten() {
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_PKG_NAME",
            "CARGO_ENCODED_RUSTFLAGS",
        ] {
            assert!(is_of_caller(name), "{name}");
        }
    }

    #[test]
    fn the_way_to_the_registry_is_kept() {
        for name in [
            "CARGO_HOME",
            "CARGO_REGISTRIES_MINE_INDEX",
            "CARGO_SOURCE_X_REPLACE_WITH",
            "CARGO_HTTP_CAINFO",
            "CARGO_NET_OFFLINE",
            "https_proxy",
            "PATH",
        ] {
            assert!(!is_of_caller(name) && !is_of_rustup(name), "{name}");
        }
    }

    #[test]
    fn rustups_choice_is_forgotten_for_a_system_compiler() {
        for name in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
            assert!(is_of_rustup(name), "{name}");
        }
    }
}
