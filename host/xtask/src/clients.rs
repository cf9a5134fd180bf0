//! `cargo xtask clients`: installs the clients that the end-to-end tests point at the host, each the way its users do.
//!
//! What is installed is pinned beside the scripts in `host/e2e/clients`, and lands in `target/clients`. It is installed
//! once, and again when a pin or the interpreter changes, so later runs need no network. Where an interpreter is missing,
//! a file says so to the tests, which then pass over its clients; in CI that is an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// One language that clients are written in.
struct Runtime {
    name: &'static str,
    /// What it runs with, and what installs for it. Each knows `--version`.
    programs: [&'static str; 2],
    /// The files that pin the clients.
    pins: &'static [&'static str],
    install: fn(&Path) -> Result<()>,
    /// How to get it.
    advice: &'static str,
}

const RUNTIMES: [Runtime; 2] = [
    Runtime {
        name: "python",
        programs: ["python3", "python3"],
        pins: &["requirements.txt"],
        install: with_pip,
        advice: "`apt-get install python3-venv`, or `brew install python`",
    },
    Runtime {
        name: "node",
        programs: ["node", "npm"],
        pins: &["package.json", "package-lock.json"],
        install: with_npm,
        advice: "`apt-get install nodejs npm`, or `brew install node`",
    },
];

/// Installs what is not installed yet, and returns a sentence for each language whose clients cannot be.
///
/// # Errors
/// In CI, if the clients of a language cannot be installed.
pub(crate) fn run(root: &Path) -> Result<Vec<String>> {
    let untested = RUNTIMES.iter().map(|runtime| prepare(root, runtime));
    untested.filter_map(Result::transpose).collect()
}

fn prepare(root: &Path, runtime: &Runtime) -> Result<Option<String>> {
    let pins = root.join("host/e2e/clients").join(runtime.name);
    let dir = root.join("target/clients").join(runtime.name);
    let installed = match stamp(runtime, &pins) {
        Ok(stamp) if fs::read_to_string(dir.join("installed")).is_ok_and(|old| old == stamp) => {
            return Ok(None);
        }
        Ok(stamp) => install(runtime, &pins, &dir, &stamp),
        Err(error) => Err(error),
    };
    let Err(error) = installed else {
        return Ok(None);
    };
    if std::env::var_os("CI").is_some() {
        return Err(error)
            .with_context(|| format!("the {} clients are needed in CI", runtime.name));
    }
    let sentence = format!(
        "the {} clients are not tested: {error:#}; to test them: {}, then `cargo xtask clients`",
        runtime.name, runtime.advice
    );
    println!("{sentence}");
    recreate(&dir)?;
    fs::write(dir.join("missing"), &sentence).context("cannot write into target/clients")?;
    Ok(Some(sentence))
}

/// What must be the same for the installed clients to be the right ones.
fn stamp(runtime: &Runtime, pins: &Path) -> Result<String> {
    let mut stamp = String::new();
    for program in runtime.programs {
        let output = Command::new(program).arg("--version").output();
        let output = output.with_context(|| format!("{program} is not on the PATH"))?;
        stamp.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    for pin in runtime.pins {
        let path = pins.join(pin);
        stamp.push_str(
            &fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        );
    }
    Ok(stamp)
}

fn install(runtime: &Runtime, pins: &Path, dir: &Path, stamp: &str) -> Result<()> {
    println!("installing the {} clients", runtime.name);
    recreate(dir)?;
    for pin in runtime.pins {
        fs::copy(pins.join(pin), dir.join(pin)).with_context(|| format!("cannot copy {pin}"))?;
    }
    (runtime.install)(dir)?;
    fs::write(dir.join("installed"), stamp).context("cannot write into target/clients")
}

fn recreate(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

fn with_pip(dir: &Path) -> Result<()> {
    succeed(dir, Path::new("python3"), &["-m", "venv", "venv"])?;
    let pip: PathBuf = dir.join("venv/bin/pip");
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    // Nothing is run that is not what was pinned. Building a wheel would need compilers of three languages.
    let how = ["--require-hashes", "--only-binary", ":all:"];
    let what = ["--requirement", "requirements.txt"];
    succeed(dir, &pip, &[quiet.as_slice(), how.as_slice(), what.as_slice()].concat())
}

fn with_npm(dir: &Path) -> Result<()> {
    succeed(dir, Path::new("npm"), &["ci", "--no-audit", "--no-fund", "--loglevel", "error"])
}

fn succeed(dir: &Path, program: &Path, arguments: &[&str]) -> Result<()> {
    let shown = program.display();
    let status = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .status()
        .with_context(|| format!("{shown} cannot be started"))?;
    if !status.success() {
        bail!("`{shown} {}` failed; its output is above", arguments.join(" "));
    }
    Ok(())
}
