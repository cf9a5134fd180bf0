//! Patterns that can match something, and not too many of them: what a manifest wishes, and what a grant allows.

use crate::grant::{TARGET_BYTES_MAX, is_target};

/// Names and patterns in one list.
const PATTERNS_MAX: usize = 100;

/// Longest pattern of a model, as long as the name of one.
const MODEL_BYTES_MAX: usize = 256;

/// Longest pattern of a kind, as long as the name of one.
const KIND_BYTES_MAX: usize = 63;

/// Longest pattern of a host: 253 bytes of name, a colon and a port.
const HOST_BYTES_MAX: usize = 259;

/// A list of patterns that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {why}")]
pub struct NotPatterns {
    /// Where it is written.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// Checks patterns of models.
///
/// # Errors
/// [`NotPatterns`].
pub fn models(key: &str, written: &[String]) -> Result<(), NotPatterns> {
    let why = || format!("a model has 1 to {MODEL_BYTES_MAX} bytes");
    check(key, written, |model| is_bounded(model, MODEL_BYTES_MAX), why)
}

/// Checks patterns of hosts.
///
/// # Errors
/// [`NotPatterns`].
pub fn hosts(key: &str, written: &[String]) -> Result<(), NotPatterns> {
    let is_host = |host: &str| {
        is_bounded(host, HOST_BYTES_MAX)
            && host.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'@' | b'?' | b'#'))
            && !host.bytes().any(|b| b.is_ascii_uppercase())
    };
    let why = || {
        format!(
            "a host is written like `example.com`, `*.example.com`, `host:port` or `*`, in lower case, without a scheme or a path, in 1 to {HOST_BYTES_MAX} bytes"
        )
    };
    check(key, written, is_host, why)
}

/// Checks patterns of the operator's targets.
///
/// # Errors
/// [`NotPatterns`].
pub fn targets(key: &str, written: &[String]) -> Result<(), NotPatterns> {
    let why = || {
        format!(
            "a target is named with 1 to {TARGET_BYTES_MAX} lower-case letters, digits or `-`; `*` stands for any of them"
        )
    };
    check(key, written, |target| is_target(&target.replace('*', "-")), why)
}

/// Checks patterns of kinds.
///
/// # Errors
/// [`NotPatterns`].
pub fn kinds(key: &str, written: &[String]) -> Result<(), NotPatterns> {
    let why = || format!("a kind has 1 to {KIND_BYTES_MAX} bytes; `*` stands for any of them");
    check(key, written, |kind| is_bounded(kind, KIND_BYTES_MAX), why)
}

fn is_bounded(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len())
}

fn check(
    key: &str,
    written: &[String],
    is_pattern: impl Fn(&str) -> bool,
    why: impl Fn() -> String,
) -> Result<(), NotPatterns> {
    let wrong = |why| Err(NotPatterns { key: key.to_owned(), why });
    if written.len() > PATTERNS_MAX {
        wrong(format!("names at most {PATTERNS_MAX}; use `*` in a pattern"))
    } else if written.iter().all(|pattern| is_pattern(pattern)) {
        Ok(())
    } else {
        wrong(why())
    }
}
