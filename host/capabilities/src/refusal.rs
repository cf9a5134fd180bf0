//! How a capability says no.

use roughneck_jobs::{failure::code, id::JobId};

/// What a guest gets instead of a result. It mirrors `host-error` of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// A stable kebab-case code.
    pub code: String,
    /// One sentence that says what is wrong and how to mend it.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Milliseconds after which it may.
    pub retry_after_ms: Option<u64>,
}

impl HostError {
    /// An error that no repetition mends.
    #[must_use]
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            retry_after_ms: None,
        }
    }

    /// An error that time may mend.
    #[must_use]
    pub fn retryable(code: &str, message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::fatal(code, message) }
    }
}

/// The run made far too many host calls, or one too many of a kind that cannot be refused. The guest
/// must be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the plugin made more host calls than its limit of {calls_max}; raise `limits.host-calls` in plugin.toml"
)]
pub struct Exhausted {
    /// The manifest's limit.
    pub calls_max: u32,
}

impl Exhausted {
    /// The same sentence as an error that the guest may still handle.
    #[must_use]
    pub fn as_host_error(self) -> HostError {
        HostError::fatal(code::HOST_CALL_LIMIT, self.to_string())
    }
}

/// Why a call did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The guest is told and goes on.
    #[error(transparent)]
    Told(#[from] HostError),
    /// The guest is stopped.
    #[error(transparent)]
    Stopped(#[from] Exhausted),
    /// The guest is stopped, and its job runs again when these children of it are over.
    #[error("the job waits for its children")]
    Awaits(Vec<JobId>),
}

impl Refusal {
    pub(crate) fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::Told(HostError::fatal(code, message))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    const PAGE: &str = include_str!("../../docs/errors/README.md");

    /// The source files below a folder.
    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// The codes of the refusals in a source, as they are written or as their constants are named.
    fn codes(source: &str) -> Vec<String> {
        let calls = ["HostError::fatal(", "HostError::retryable(", "Refusal::fatal("];
        let refusals = calls.iter().flat_map(|call| source.split(call).skip(1));
        let code = |arguments: &str| {
            let first = arguments.split(',').next().unwrap_or_default().trim();
            let constant = first.strip_prefix("code::");
            let constant = constant.map(|name| name.to_lowercase().replace('_', "-"));
            constant.or_else(|| Some(first.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
        };
        refusals.filter_map(code).collect()
    }

    #[test]
    fn every_code_is_explained_on_the_page() {
        let section = PAGE.split("\n## ").find(|part| part.starts_with("Refused host calls"));
        let codes_of = |row: &str| row.split('|').nth(1).unwrap_or_default().to_owned();
        let explained: String = section.unwrap().lines().map(codes_of).collect();
        let all: Vec<String> = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
            .iter()
            .filter(|path| !path.ends_with("tests.rs"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .flat_map(|source| codes(source.split("#[cfg(test)]").next().unwrap()))
            .collect();
        for known in ["stopping", "host-call-limit", "kv-full"] {
            assert!(all.iter().any(|code| code == known), "{known} is not found: {all:?}");
        }
        for code in all {
            assert!(explained.contains(&format!("`{code}`")), "{code}");
        }
    }
}
