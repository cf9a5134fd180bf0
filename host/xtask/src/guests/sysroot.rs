//! Way 3, second half: a standard library for wasm, built once from the system compiler's own
//! sources.
//!
//! A distribution's compiler can generate wasm but has no standard library for it. Cargo's `-Z
//! build-std` makes one; kept as a sysroot it serves every later build with plain stable flags, so
//! the guests' own builds need neither unstable cargo nor the sources. The
//! linker is `wasm-component-ld` of the rustup toolchain, which is there on every machine that
//! could build the host.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::debian::{self, SYSTEM_CARGO, SYSTEM_RUSTC};
use super::step::Step;
use super::{digest, environment, lock, rustup};
use crate::output::output_of;

/// No WASI at all: the guests use none, and Debian's C library for WASI is older than the compiler.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Change it with the recipe below, so that a library of the old recipe is not taken for one of the
/// new.
const RECIPE: &str = "1";

/// A crate with nothing in it: building it builds the library.
const SEED_MANIFEST: &str = "\
[package]
name = \"roughneck-seed\"
version = \"0.0.0\"
edition = \"2021\"

[workspace]

[profile.release]
opt-level = \"s\"
panic = \"abort\"
";

const LINKER: &str = "wasm-component-ld";

pub(super) struct Sysroot {
    /// The compiler's description of itself and the recipe.
    pub(super) key: String,
    directory: PathBuf,
    linker: Linker,
}

/// `wasm-component-ld`, which turns what `wasm-ld` links into a component.
struct Linker {
    program: PathBuf,
    /// Rustup hides its `wasm-ld` from PATH, and only rustup's own compiler would add it there.
    wasm_ld: Option<PathBuf>,
}

impl Sysroot {
    /// The library of this compiler, if it was built before.
    pub(super) fn built() -> Result<Option<Self>> {
        // No system compiler or no linker is no error here: it means that there is something to
        // install.
        let Ok(sysroot) = Self::locate() else {
            return Ok(None);
        };
        Ok(sysroot.directory.is_dir().then_some(sysroot))
    }

    /// Builds the library, unless another process did so meanwhile.
    pub(super) fn build(logs: &Path) -> Result<Self> {
        let sysroot = Self::locate()?;
        let _lock = lock::acquire(&sysroot.directory.with_extension("lock"))?;
        if sysroot.directory.is_dir() {
            return Ok(sysroot);
        }
        // Under the lock, what lies there is of a build that was killed.
        let work = sysroot.directory.with_extension("building");
        remove(&work)?;
        sysroot.build_in(&work, logs)?;
        remove(&work)?;
        Ok(sysroot)
    }

    fn locate() -> Result<Self> {
        let description = debian::describe()?;
        let key = format!("{description}\nsysroot recipe: {RECIPE}");
        let name = format!("wasm-std-{}", digest::short(key.as_bytes()));
        Ok(Self { directory: cache_dir()?.join(name), linker: linker()?, key })
    }

    fn build_in(&self, work: &Path, logs: &Path) -> Result<()> {
        let seed = work.join("seed");
        fs::create_dir_all(seed.join("src"))
            .with_context(|| format!("cannot create {}", seed.display()))?;
        fs::write(seed.join("Cargo.toml"), SEED_MANIFEST)?;
        fs::write(seed.join("src/lib.rs"), "")?;

        let mut command = system_cargo();
        command
            .current_dir(&seed)
            .env("RUSTC_BOOTSTRAP", "1")
            // The guests are optimised as one program with the library, which needs its bitcode.
            .env(target_variable("RUSTFLAGS"), "-Cembed-bitcode=yes")
            .args([
                "build",
                "--release",
                "-Z",
                "build-std=std,panic_abort",
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(work.join("target"));
        Step {
            name: "build-std",
            what: format!(
                "building Rust's standard library for {TARGET} into {}",
                self.directory.display()
            ),
            why: "the system's compiler comes without one; done once for each version of it"
                .to_owned(),
            expect: "about half a minute",
        }
        .run(logs, &mut command)?;

        let staged = work.join("sysroot");
        let libraries = staged.join("lib/rustlib").join(TARGET).join("lib");
        fs::create_dir_all(&libraries)?;
        let copied = copy_libraries(&work.join("target").join(TARGET), &libraries)?;
        if copied == 0 {
            bail!(
                "cargo built no library for {TARGET}; see {}",
                logs.join("build-std.log").display()
            );
        }
        // The rename makes the library appear whole or not at all.
        fs::rename(&staged, &self.directory)
            .with_context(|| format!("cannot create {}", self.directory.display()))
    }

    /// The system's cargo, set up to link components against this library.
    pub(super) fn cargo(&self) -> Command {
        let mut command = system_cargo();
        let mut flags = vec![format!("--sysroot={}", self.directory.display())];
        if let Some(wasm_ld) = &self.linker.wasm_ld {
            flags.push(format!("-Clink-arg=--wasm-ld-path={}", wasm_ld.display()));
        }
        // An array of flags, because a path may hold a space. It applies to the guests only, not to
        // their proc macros.
        command
            .env(target_variable("LINKER"), &self.linker.program)
            .arg("--config")
            .arg(format!("target.{TARGET}.rustflags={flags:?}"));
        command
    }
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}

fn system_cargo() -> Command {
    let mut command = Command::new(SYSTEM_CARGO);
    environment::forget_caller(&mut command);
    environment::forget_rustup(&mut command);
    command.env("RUSTC", SYSTEM_RUSTC).env("PATH", system_path());
    command
}

/// PATH with the system's programs before rustup's shims.
fn system_path() -> OsString {
    let mut path = OsString::from("/usr/bin");
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

fn target_variable(name: &str) -> String {
    format!("CARGO_TARGET_{}_{name}", TARGET.to_uppercase().replace('-', "_"))
}

/// Copies every library below `from` except the seed. Cargo has moved these files between its
/// versions, so it looks everywhere.
fn copy_libraries(from: &Path, to: &Path) -> Result<usize> {
    let mut copied = 0;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            copied += copy_libraries(&entry.path(), to)?;
        } else if name.ends_with(".rlib") && !name.starts_with("libroughneck_seed") {
            fs::copy(entry.path(), to.join(&name))
                .with_context(|| format!("cannot copy {name}"))?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// The linker beside rustup's compiler, or else in PATH.
fn linker() -> Result<Linker> {
    if let Ok(sysroot) = rustup::sysroot() {
        let rustlib = sysroot.join("lib/rustlib");
        for entry in
            fs::read_dir(&rustlib).with_context(|| format!("cannot read {}", rustlib.display()))?
        {
            let programs = entry?.path().join("bin");
            let (program, wasm_ld) = (programs.join(LINKER), programs.join("gcc-ld/wasm-ld"));
            if program.is_file() && wasm_ld.is_file() {
                return Ok(Linker { program, wasm_ld: Some(wasm_ld) });
            }
        }
    }
    if output_of(Command::new(LINKER).arg("--version")).is_ok() {
        return Ok(Linker { program: PathBuf::from(LINKER), wasm_ld: None });
    }
    bail!(
        "there is no {LINKER}: it comes with rustup's toolchain (https://rustup.rs), or with \
         `cargo install {LINKER}` and a `wasm-ld` in PATH"
    )
}

/// Outside the tree, because the library belongs to the compiler and serves every checkout.
fn cache_dir() -> Result<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = set("ROUGHNECK_CACHE_DIR") {
        return Ok(directory);
    }
    if let Some(directory) = set("XDG_CACHE_HOME") {
        return Ok(directory.join("roughneck"));
    }
    let home = set("HOME").context(
        "there is no place to keep the wasm library: set ROUGHNECK_CACHE_DIR to a directory",
    )?;
    let caches = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    Ok(home.join(caches).join("roughneck"))
}

#[cfg(test)]
mod tests {
    use super::target_variable;

    #[test]
    fn cargos_variables_for_the_target_are_spelt_as_cargo_reads_them() {
        assert_eq!(target_variable("LINKER"), "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER");
    }
}
