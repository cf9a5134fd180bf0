//! A long step: it says what it does and why before it starts, keeps the tool's output in a file
//! and shows the end of it on failure.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// How much of a failed tool's output is shown: compilers put the cause in the last lines.
const TAIL_LINES: usize = 25;

pub(super) struct Step {
    /// Names the log file.
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) why: String,
    /// Roughly how long, for a person who watches.
    pub(super) expect: &'static str,
}

impl Step {
    /// Runs `command` to its end.
    ///
    /// # Errors
    /// If the tool cannot be started or fails; the text holds the end of its output and the path of
    /// the whole of it.
    pub(super) fn run(&self, logs: &Path, command: &mut Command) -> Result<()> {
        eprintln!("guests: {}\n        why: {}; takes {}", self.what, self.why, self.expect);
        fs::create_dir_all(logs).with_context(|| format!("cannot create {}", logs.display()))?;
        let path = logs.join(format!("{}.log", self.name));
        let log =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let started = Instant::now();
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the log file")?)
            .stderr(log)
            .status()
            .with_context(|| format!("cannot start `{program}`"))?;
        if !status.success() {
            let output = fs::read(&path).unwrap_or_default();
            bail!(
                "`{program}` failed ({status}); the end of {}:\n{}",
                path.display(),
                tail(&String::from_utf8_lossy(&output), TAIL_LINES)
            );
        }
        eprintln!("        done in {:.0} s", started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The last `lines` lines, indented so that they stand apart from our own words.
fn tail(output: &str, lines: usize) -> String {
    let all: Vec<&str> = output.lines().collect();
    let skipped = all.len().saturating_sub(lines);
    all.iter().skip(skipped).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn only_the_last_lines_of_a_long_output_are_shown() {
        assert_eq!(tail("a\nb\nc\n", 2), "    b\n    c");
    }

    #[test]
    fn a_short_output_is_shown_whole() {
        assert_eq!(tail("a", 2), "    a");
    }
}
