//! What the tree looks like: sizes, names, and words that must not stand in it.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Breach;
use crate::output::output_of;

const FILE_LINES_MAX: usize = 500;
const LIB_LINES_MAX: usize = 100;

/// What may stand at the top, besides dot files.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "ansible",
    "clippy.toml",
    "compose",
    "deny.toml",
    "grafana",
    "host",
    "launchd",
    "plugins",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "wit",
];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helpers", "manager", "misc"];

/// Files that may wait by the clock: the one place that polls for a condition with a deadline.
const MAY_SLEEP: &[&str] = &["host/testkit/"];

pub(super) fn check(root: &Path) -> Result<Vec<Breach>> {
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let listing = output_of(Command::new("git").current_dir(root).args(listed))?;
    let mut breaches = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        breaches.extend(name(path));
        match std::fs::read_to_string(root.join(path)) {
            Ok(text) => breaches.extend(content(path, &text)),
            // Deleted and not yet committed, or no text.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {}
            Err(error) => return Err(error).with_context(|| format!("{path} cannot be read")),
        }
    }
    Ok(breaches)
}

fn name(path: &str) -> Option<Breach> {
    let top = path.split('/').next().unwrap_or(path);
    if !top.starts_with('.') && !TOP.contains(&top) {
        return Some(Breach(format!("{top} does not belong at the top of the tree")));
    }
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let says_nothing = path.ends_with(".rs") && EMPTY_NAMES.contains(&stem);
    says_nothing.then(|| Breach(format!("{path}: `{stem}` says nothing; name what is in it")))
}

fn content(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    // Assembled, so that this file does not breach its own rule.
    let machine_paths = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()];
    if let Some(word) = machine_paths.iter().find(|word| text.contains(word.as_str())) {
        breaches.push(Breach(format!("{path} names {word}, a path of one machine")));
    }
    if !path.ends_with(".rs") {
        return breaches;
    }
    let production = production_lines(path, text);
    if production > FILE_LINES_MAX {
        breaches.push(Breach(format!(
            "{path} has {production} production lines; split it (limit {FILE_LINES_MAX})"
        )));
    }
    if path.ends_with("/lib.rs") && production > LIB_LINES_MAX {
        breaches.push(Breach(format!(
            "{path} has {production} lines; move code out of it (limit {LIB_LINES_MAX})"
        )));
    }
    if is_test(path)
        && text.contains("sleep(")
        && !MAY_SLEEP.iter().any(|dir| path.starts_with(dir))
    {
        breaches.push(Breach(format!(
            "{path} sleeps; wait for a condition with `testkit::eventually`"
        )));
    }
    breaches
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("host/e2e/")
}

/// Lines before the tests of the file; a file of tests has none.
fn production_lines(path: &str, text: &str) -> usize {
    if is_test(path) || path.ends_with("/tests.rs") {
        return 0;
    }
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text).lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_at_the_end_of_a_file_do_not_count() {
        let text =
            format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "a\n".repeat(10), "b\n".repeat(900));
        assert_eq!(production_lines("host/jobs/src/x.rs", &text), 10);
        assert!(content("host/jobs/src/x.rs", &text).is_empty());
        assert_eq!(content("host/jobs/src/x.rs", &"a\n".repeat(501)).len(), 1);
        assert!(content("host/jobs/src/x/tests.rs", &"a\n".repeat(501)).is_empty());
    }

    #[test]
    fn names_that_say_nothing_and_strangers_at_the_top_are_breaches() {
        assert!(name("host/jobs/src/util.rs").is_some());
        assert!(name("notes.txt").is_some());
        assert!(name("host/jobs/src/retry.rs").is_none());
        assert!(name(".ci/run").is_none());
    }

    #[test]
    fn a_test_that_sleeps_is_a_breach() {
        assert_eq!(content("host/e2e/tests/a.rs", "tokio::time::sleep(x)").len(), 1);
        assert!(content("host/testkit/src/eventually.rs", "sleep(x)").is_empty());
    }
}
