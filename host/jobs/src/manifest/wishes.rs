//! What a plugin wants to do, checked before it is compared with what it may do.

use super::{Capabilities, ManifestError, read::value};
use crate::grant::{TARGET_BYTES_MAX, is_target};

/// All state of one plugin, in a store that all plugins share.
const KV_BYTES_MAX: u64 = 256 << 20;

/// Names and patterns of one wish.
const PATTERNS_MAX: usize = 100;

/// Longest pattern of a model, as long as the name of one.
const MODEL_BYTES_MAX: usize = 256;

/// Longest pattern of a kind, as long as the name of one.
const KIND_BYTES_MAX: usize = 63;

/// Longest pattern of a host: 253 bytes of name, a colon and a port.
const HOST_BYTES_MAX: usize = 259;

/// The wishes, with patterns that can match something and are not endless.
pub(super) fn wishes(wanted: Capabilities) -> Result<Capabilities, ManifestError> {
    let bounded = |bytes_max: usize| move |text: &str| (1..=bytes_max).contains(&text.len());
    if let Some(llm) = &wanted.llm {
        let why = format!("a model has 1 to {MODEL_BYTES_MAX} bytes");
        patterns("llm.models", &llm.models, &why, bounded(MODEL_BYTES_MAX))?;
    }
    if let Some(http) = &wanted.http {
        let is_host = |host: &str| {
            bounded(HOST_BYTES_MAX)(host)
                && host
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'@' | b'?' | b'#'))
                && !host.bytes().any(|b| b.is_ascii_uppercase())
        };
        let why = format!(
            "a host is written like `example.com`, `*.example.com`, `host:port` or `*`, in lower case, without a scheme or a path, in 1 to {HOST_BYTES_MAX} bytes"
        );
        patterns("http.hosts", &http.hosts, &why, is_host)?;
    }
    if let Some(callback) = &wanted.callback {
        let why = format!(
            "a target is named with 1 to {TARGET_BYTES_MAX} lower-case letters, digits or `-`; `*` stands for any of them"
        );
        let is_pattern = |target: &str| is_target(&target.replace('*', "-"));
        patterns("callback.targets", &callback.targets, &why, is_pattern)?;
    }
    if let Some(submit) = &wanted.submit {
        let why = format!("a kind has 1 to {KIND_BYTES_MAX} bytes; `*` stands for any of them");
        patterns("submit.kinds", &submit.kinds, &why, bounded(KIND_BYTES_MAX))?;
    }
    if wanted.kv.as_ref().is_some_and(|kv| kv.bytes_max > KV_BYTES_MAX) {
        return Err(value("kv.max-bytes", "a plugin may keep at most 256MiB"));
    }
    Ok(wanted)
}

fn patterns(
    key: &str,
    written: &[String],
    why: &str,
    is_pattern: impl Fn(&str) -> bool,
) -> Result<(), ManifestError> {
    if written.len() > PATTERNS_MAX {
        return Err(value(key, &format!("names at most {PATTERNS_MAX}; use `*` in a pattern")));
    }
    if written.iter().all(|pattern| is_pattern(pattern)) { Ok(()) } else { Err(value(key, why)) }
}
