//! `[callbacks]`: where webhooks may go.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use roughneck_jobs::{delivery::Target, signature::Secret};
use serde::Deserialize;

/// Where webhooks may go. URLs and secrets are shown to nobody, so none of this is `Debug`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Callbacks {
    /// Whether callback URLs of submissions may resolve to private or loopback addresses.
    pub(crate) allow_private: bool,
    /// Targets by name.
    targets: BTreeMap<String, Written>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    url: String,
    /// `whsec_…`; the host's own secret by default.
    secret: Option<String>,
    #[serde(default)]
    allow_private: bool,
}

/// A target, read and checked.
#[derive(Clone)]
pub(crate) struct Checked {
    /// Where it is.
    pub(crate) url: String,
    /// Its own secret, if it has one.
    pub(crate) secret: Option<Secret>,
    /// Whether it may resolve to a private address.
    pub(crate) allow_private: bool,
}

impl Callbacks {
    /// The targets by name.
    ///
    /// # Errors
    /// A sentence that names the target, without its secret.
    pub(crate) fn targets(&self) -> Result<BTreeMap<String, Checked>> {
        self.targets
            .iter()
            .map(|(name, written)| {
                let wrong = || format!("the callback target `{name}` is wrong");
                name.parse::<Target>().with_context(wrong)?;
                Target::new(&written.url).with_context(wrong)?;
                written.url.parse::<reqwest::Url>().with_context(wrong)?;
                let secret =
                    written.secret.as_deref().map(str::parse).transpose().with_context(wrong)?;
                let checked = Checked {
                    url: written.url.clone(),
                    secret,
                    allow_private: written.allow_private,
                };
                Ok((name.clone(), checked))
            })
            .collect()
    }
}
