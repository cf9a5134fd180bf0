//! `[budgets]`: how many tokens jobs, kinds and callers may use. Without it nothing is counted.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;
use roughneck_jobs::budget::Limits;
use serde::Deserialize;

/// Limits in tokens.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Budgets {
    /// Of each job, over all of its attempts.
    job: Option<u64>,
    /// Of kinds, by the day.
    kinds: BTreeMap<String, u64>,
    /// Of callers, by the day.
    callers: BTreeMap<String, u64>,
    /// Of each caller that has none of its own, by the day.
    caller_default: Option<u64>,
    /// The time zone whose days are meant; `UTC` by default.
    reset_zone: Option<String>,
}

impl Budgets {
    /// The limits.
    ///
    /// # Errors
    /// A sentence that names the key, if one is 0: that would be a pause.
    pub(crate) fn limits(&self) -> Result<Limits> {
        let Self { job, kinds, callers, caller_default, reset_zone: _ } = self;
        let named = |section, limits: &BTreeMap<String, u64>| {
            let zero = limits.iter().find(|(_, limit)| **limit == 0);
            zero.map(|(name, _)| format!("budgets.{section}.{name}"))
        };
        let own = |key, limit: &Option<u64>| (*limit == Some(0)).then(|| format!("budgets.{key}"));
        let zero = own("job", job)
            .or_else(|| own("caller-default", caller_default))
            .or_else(|| named("kinds", kinds))
            .or_else(|| named("callers", callers));
        if let Some(key) = zero {
            bail!("`{key}` must be at least 1 token; to stop a kind, run `roughneck kind pause`");
        }
        Ok(Limits {
            job: *job,
            kinds: kinds.clone(),
            callers: callers.clone(),
            caller_default: *caller_default,
        })
    }

    /// The time zone whose days are meant.
    ///
    /// # Errors
    /// A sentence, if there is no such zone.
    pub(crate) fn zone(&self) -> Result<TimeZone> {
        let Some(name) = &self.reset_zone else { return Ok(TimeZone::UTC) };
        TimeZone::get(name).with_context(|| {
            format!("`budgets.reset-zone` is wrong: `{name}` is no IANA time zone, such as Europe/Berlin")
        })
    }
}
