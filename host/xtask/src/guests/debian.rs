//! Way 3, first half: a system compiler that can build its own standard library.
//!
//! Debian's `rustc-web`, `cargo-web` and `rust-web-src` are the recent compiler that Debian carries
//! for its browsers. Any other compiler in `/usr/bin` that is new enough and has its library's
//! sources (Ubuntu: `rustc`, `cargo`, `rust-src`) is as good.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::step::Step;
use crate::output::output_of;

/// Where a distribution puts its compiler. Named outright, because rustup's shims come first in
/// PATH.
pub(super) const SYSTEM_CARGO: &str = "/usr/bin/cargo";
pub(super) const SYSTEM_RUSTC: &str = "/usr/bin/rustc";

/// The oldest compiler that builds the guests' dependencies (`rust-version` of plugins/Cargo.toml).
const OLDEST: (u32, u32) = (1, 88);

const PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// Makes sure that the system's compiler is there, with packages of the distribution if need be.
pub(super) fn prepare(logs: &Path) -> Result<()> {
    let Err(lack) = check() else {
        return Ok(());
    };
    let install = format!("apt-get install -y --no-install-recommends {}", PACKAGES.join(" "));
    if Command::new("apt-get").arg("--version").output().is_err() {
        bail!("{lack:#}, and there is no apt-get to install one");
    }
    if output_of(Command::new("id").arg("-u"))? != "0" {
        bail!("{lack:#}; run `sudo apt-get update && sudo {install}`");
    }
    // A third party's list that cannot be read must not stop an install from Debian's own.
    let refreshed = Step {
        name: "apt-update",
        what: "refreshing the package lists with apt-get".to_owned(),
        why: format!("{lack:#}"),
        expect: "about 10 s",
    }
    .run(logs, apt_get().arg("update"));
    if let Err(error) = refreshed {
        eprintln!("        continuing with the package lists that are there: {error:#}");
    }
    Step {
        name: "apt-install",
        what: format!("installing {} with apt-get", PACKAGES.join(", ")),
        why: "they are a Rust compiler with the sources of its standard library".to_owned(),
        expect: "about half a minute (115 MB to download, 640 MB on disk)",
    }
    .run(logs, apt_get().args(["install", "-y", "--no-install-recommends"]).args(PACKAGES))?;
    check().context("the packages are installed, but do not help")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args([
        "-q",
        "-o",
        "Acquire::Retries=2",
        "-o",
        "Acquire::http::Timeout=20",
    ]);
    command
}

/// Says what is lacking.
fn check() -> Result<()> {
    if !Path::new(SYSTEM_CARGO).is_file() {
        bail!("there is no {SYSTEM_CARGO}");
    }
    let description = describe()?;
    match release(&description) {
        Some(found) if found >= OLDEST => {}
        Some((major, minor)) => {
            bail!(
                "{SYSTEM_RUSTC} is {major}.{minor}, but the guests need {}.{} or newer",
                OLDEST.0,
                OLDEST.1
            )
        }
        None => bail!("{SYSTEM_RUSTC} does not say its version"),
    }
    let library = library_sources()?;
    if !library.is_dir() {
        bail!("{SYSTEM_RUSTC} lacks the sources of its standard library in {}", library.display());
    }
    Ok(())
}

/// What the system's compiler says about itself; part of the key of what it builds.
pub(super) fn describe() -> Result<String> {
    if !Path::new(SYSTEM_RUSTC).is_file() {
        bail!("there is no {SYSTEM_RUSTC}");
    }
    output_of(rustc().arg("-vV"))
}

fn library_sources() -> Result<PathBuf> {
    let sysroot = output_of(rustc().args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib/src/rust/library/std"))
}

fn rustc() -> Command {
    let mut command = Command::new(SYSTEM_RUSTC);
    super::environment::forget_caller(&mut command);
    super::environment::forget_rustup(&mut command);
    command
}

/// Major and minor number out of `rustc -vV`.
fn release(description: &str) -> Option<(u32, u32)> {
    let release = description.lines().find_map(|line| line.strip_prefix("release: "))?;
    let mut numbers = release.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST, release};

    #[test]
    fn the_release_is_read_from_the_compilers_description() {
        assert_eq!(release("rustc 1.96.0 (x)\nbinary: rustc\nrelease: 1.96.0\n"), Some((1, 96)));
        assert_eq!(release("rustc"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!((1, 100) > OLDEST);
        assert!((1, 63) < OLDEST);
    }
}
