//! What a check has found.

use serde::Serialize;

use crate::terminal::clean;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Something does not work.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    pub(super) status: Status,
    pub(super) found: String,
    /// What to do about it.
    todo: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, found: found.into(), todo: None }
    }

    /// Somebody should do this.
    pub(super) fn warn(
        check: &'static str,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, status: Status::Warn, found: found.into(), todo: Some(todo.into()) }
    }

    /// Somebody must do this.
    pub(super) fn fail(
        check: &'static str,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, status: Status::Fail, found: found.into(), todo: Some(todo.into()) }
    }

    /// Something does not work, and its sentence says what to do.
    pub(super) fn error(check: &'static str, sentence: impl Into<String>) -> Self {
        Self { check, status: Status::Fail, found: sentence.into(), todo: None }
    }
}

/// The findings, one a line.
pub(super) fn page(findings: &[Finding]) -> String {
    findings.iter().map(line).collect()
}

fn line(finding: &Finding) -> String {
    let Finding { check, status, found, todo } = finding;
    let status = match status {
        Status::Ok => "ok",
        Status::Warn => "warn",
        Status::Fail => "FAIL",
    };
    let todo = todo.as_ref().map_or_else(String::new, |todo| format!("; {todo}"));
    // Never cut: the end of the line says what to do.
    format!("{status:4}  {check:8}  {}{}\n", clean(found), clean(&todo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_that_ends_with_what_to_do() {
        let findings = [
            Finding::ok("disk", "4.0 GiB free"),
            Finding::warn("clock", "it is\nslow", "set it"),
            Finding::fail("database", "it is damaged", "restore a backup"),
        ];
        assert_eq!(
            page(&findings),
            "ok    disk      4.0 GiB free\n\
             warn  clock     it is slow; set it\n\
             FAIL  database  it is damaged; restore a backup\n"
        );
    }
}
