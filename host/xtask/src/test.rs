//! `cargo xtask test`: every test there is, with what they need built first.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{cargo, clients, guests};

/// Builds the guests and the binary that the tests use, installs the clients, runs the tests of both workspaces, and ends
/// with one line that adds them up.
///
/// # Errors
/// If something does not build, a test fails, or no test ran.
pub(crate) fn run(root: &Path) -> Result<()> {
    guests::run(root, &[])?;
    let untested = clients::run(root)?;
    println!("building the binary for the end-to-end tests");
    cargo::run(root, &["build", "--package", "roughneck-cli"])?;
    let mut sum = Sum::default();
    println!("running the tests of the host");
    sum.add(&tests(cargo::command(root).args(["test", "--workspace", "--no-fail-fast"]))?);
    println!("running the tests of the plugins");
    let mut plugins = cargo::command(&root.join("plugins"));
    sum.add(&tests(plugins.args(["test", "--workspace", "--no-fail-fast"]))?);
    println!();
    // Said before, but far above, and their tests count as passed.
    untested.iter().for_each(|sentence| println!("{sentence}"));
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if !sum.whole {
        bail!("a test failed, or did not build; its output is above");
    }
    if sum.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// The figures of one or more `cargo test`.
#[derive(Debug, PartialEq)]
struct Sum {
    passed: u64,
    failed: u64,
    /// Whether every command succeeded.
    whole: bool,
}

impl Default for Sum {
    fn default() -> Self {
        Self { passed: 0, failed: 0, whole: true }
    }
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.whole &= other.whole;
    }
}

/// Runs `cargo test`, shows its output, and counts.
fn tests(command: &mut Command) -> Result<Sum> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut sum = Sum::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("the output of cargo cannot be read")?;
        println!("{line}");
        if let Some((passed, failed)) = figures(&line) {
            sum.passed += passed;
            sum.failed += failed;
        }
    }
    sum.whole = child.wait()?.success();
    Ok(sum)
}

/// Passed and failed of a line such as `test result: ok. 12 passed; 0 failed; …`.
fn figures(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let before = rest.split(word).next()?;
        before.trim().rsplit(' ').next()?.parse().ok()
    };
    Some((number(" passed")?, number(" failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_closing_line_are_read() {
        let line =
            "test result: FAILED. 41 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(figures(line), Some((41, 2)));
        assert_eq!(figures("test a::b ... ok"), None);
    }
}
