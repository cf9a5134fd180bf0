//! `[guard]`: what pauses a kind by itself, and keeps jobs from submitting each other for ever.

use anyhow::{Context, Result};
use roughneck_jobs::{
    child::DEPTH_MAX,
    guard::{Breaker, Runaway},
    manifest::text,
};
use serde::Deserialize;

/// When a kind is paused by itself, and how deep jobs may submit each other; the defaults of `jobs` where nothing is written, and never where 0
/// is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Guard {
    submissions_per_minute: Option<u32>,
    submissions_pause: Option<String>,
    failures_in_a_row: Option<u32>,
    failures_pause: Option<String>,
    depth_max: Option<u32>,
}

impl Guard {
    /// When a kind is submitted too fast.
    ///
    /// # Errors
    /// A sentence, if the pause is no duration.
    pub(crate) fn runaway(&self) -> Result<Option<Runaway>> {
        let default = Runaway::default();
        let per_minute = self.submissions_per_minute.unwrap_or(default.per_minute);
        let pause_ms =
            pause("submissions-pause", self.submissions_pause.as_deref(), default.pause_ms)?;
        Ok((per_minute > 0).then_some(Runaway { per_minute, pause_ms }))
    }

    /// When a kind does nothing but fail.
    ///
    /// # Errors
    /// A sentence, if the pause is no duration.
    pub(crate) fn breaker(&self) -> Result<Option<Breaker>> {
        let default = Breaker::default();
        let failures = self.failures_in_a_row.unwrap_or(default.failures);
        let pause_ms = pause("failures-pause", self.failures_pause.as_deref(), default.pause_ms)?;
        Ok((failures > 0).then_some(Breaker { failures, pause_ms }))
    }

    /// How deep jobs may submit each other.
    pub(crate) fn depth_max(&self) -> u32 {
        match self.depth_max.unwrap_or(DEPTH_MAX) {
            0 => u32::MAX,
            depth_max => depth_max,
        }
    }
}

fn pause(key: &str, written: Option<&str>, default_ms: u64) -> Result<u64> {
    match written {
        None => Ok(default_ms),
        Some(written) => {
            text::duration_ms(written).with_context(|| format!("`guard.{key}` is wrong"))
        }
    }
}
