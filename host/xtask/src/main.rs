//! Tasks of the repository, run as `cargo xtask <task>`.
//!
//! Each task is one module with a `run` function; to add one, add a module, a line in [`TASKS`] and
//! an arm in [`dispatch`]. This crate builds in seconds and names no crate of the host, so a task
//! works before the host compiles.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

mod bench;
mod cargo;
mod check;
mod clients;
mod demo;
mod guests;
mod output;
mod test;
mod tidy;

/// What `cargo xtask` can do: the name and one line for the usage text.
const TASKS: &[(&str, &str)] = &[
    ("demo", "build everything and run one job from end to end (--keep to stay up)"),
    ("test", "build everything and run all tests"),
    (
        "bench",
        "measure the queue or Ollama's surface beside a peer (bench queue, bench gateway), or simulate the lane (bench lane)",
    ),
    ("clients", "install the clients in Python and JavaScript that the tests point at the host"),
    ("check", "format, rules of the house, clippy, documentation, licences"),
    ("tidy", "the rules of the house alone"),
    (
        "guests",
        "build every plugin in plugins/ to a component in target/guests (and target/fixtures)",
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((task, rest)) = arguments.split_first() else {
        bail!("no task was named\n\n{}", usage());
    };
    match task.as_str() {
        "demo" => demo::run(&repository_root()?, rest),
        "test" => test::run(&repository_root()?),
        "bench" => bench::run(&repository_root()?, rest),
        "clients" => clients::run(&repository_root()?).map(drop),
        "check" => check::run(&repository_root()?),
        "tidy" => tidy::run(&repository_root()?),
        "guests" => guests::run(&repository_root()?, rest),
        "help" | "--help" | "-h" => {
            println!("{}", usage());
            Ok(())
        }
        other => bail!("there is no task `{other}`\n\n{}", usage()),
    }
}

fn usage() -> String {
    let mut text = "usage: cargo xtask <task>\n\n".to_owned();
    for (name, summary) in TASKS {
        text.push_str(&format!("  {name:<8} {summary}\n"));
    }
    text
}

/// The directory that holds the host workspace, independent of where `cargo xtask` was called.
fn repository_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("host/xtask has no grandparent directory")
}
