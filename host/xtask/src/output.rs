//! What a program prints, for the tasks that read it.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What the program prints, without the space around it.
///
/// # Errors
/// If it cannot be started or does not succeed: what it printed is no answer then. The error has what it said.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        bail!(
            "`{program}` failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let printed = String::from_utf8(output.stdout);
    let printed = printed.with_context(|| format!("`{program}` prints no UTF-8"))?;
    Ok(printed.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_printed_before_it_failed_is_no_answer() {
        let shell = |script: &str| output_of(Command::new("sh").args(["-c", script]));
        assert_eq!(shell("echo ' a b '").unwrap(), "a b");
        let error = shell("echo half of it; echo why >&2; exit 3").unwrap_err().to_string();
        assert!(error.starts_with("`sh` failed") && error.ends_with(": why"), "{error}");
    }
}
