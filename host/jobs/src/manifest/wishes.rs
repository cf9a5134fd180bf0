//! What a plugin wants to do, checked before it is compared with what it may do.

use super::{Capabilities, ManifestError, patterns, read::value};

/// All state of one plugin, in a store that all plugins share.
const KV_BYTES_MAX: u64 = 256 << 20;

/// The wishes, with patterns that can match something and are not endless.
pub(super) fn wishes(wanted: Capabilities) -> Result<Capabilities, ManifestError> {
    if let Some(llm) = &wanted.llm {
        patterns::models("llm.models", &llm.models)?;
    }
    if let Some(http) = &wanted.http {
        patterns::hosts("http.hosts", &http.hosts)?;
    }
    if let Some(callback) = &wanted.callback {
        patterns::targets("callback.targets", &callback.targets)?;
    }
    if let Some(submit) = &wanted.submit {
        patterns::kinds("submit.kinds", &submit.kinds)?;
    }
    if wanted.kv.as_ref().is_some_and(|kv| kv.bytes_max > KV_BYTES_MAX) {
        return Err(value("kv.max-bytes", "a plugin may keep at most 256MiB"));
    }
    Ok(wanted)
}
