//! `[retention]`: how long ended jobs are kept.

use anyhow::{Context, Result};
use roughneck_jobs::manifest::text;
use serde::Deserialize;

/// What keeps jobs for ever.
const FOREVER: &str = "forever";

/// How long ended jobs are kept, by how they ended; the engine's defaults where nothing is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Retention {
    done: Option<String>,
    failed: Option<String>,
    cancelled: Option<String>,
}

impl Retention {
    /// The limits for the engine.
    ///
    /// # Errors
    /// A sentence, if one is no duration.
    pub(crate) fn limits(&self) -> Result<roughneck_engine::Retention> {
        let default = roughneck_engine::Retention::default();
        Ok(roughneck_engine::Retention {
            done_ms: limit("done", self.done.as_deref(), default.done_ms)?,
            failed_ms: limit("failed", self.failed.as_deref(), default.failed_ms)?,
            cancelled_ms: limit("cancelled", self.cancelled.as_deref(), default.cancelled_ms)?,
        })
    }
}

fn limit(key: &str, written: Option<&str>, default: Option<u64>) -> Result<Option<u64>> {
    match written {
        None => Ok(default),
        Some(FOREVER) => Ok(None),
        Some(written) => text::duration_ms(written)
            .map(Some)
            .with_context(|| format!("`retention.{key}` is wrong; it may also be \"{FOREVER}\"")),
    }
}
