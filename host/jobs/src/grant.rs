//! Grants: what the operator allows a plugin, and the third gate that compares it with the manifest.

use std::{collections::BTreeMap, fmt};

use crate::{
    delivery::Target,
    manifest::{Capabilities, NotPatterns, patterns},
};

/// Longest name of a target.
pub const TARGET_BYTES_MAX: usize = 63;

/// What one plugin may do. A plugin without an entry gets [`Grant::default`]: models and its own
/// key-value store, which reach nobody outside, but no network and no jobs of its own making.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// Patterns of model names, `*` matching any run of characters.
    pub models: Vec<String>,
    /// Whether it may keep key-value state.
    pub kv: bool,
    /// Hosts it may reach over HTTP: `example.com`, `*.example.com`, `host:port` or `*`.
    pub http: Vec<String>,
    /// Whether those hosts may resolve to private or loopback addresses.
    pub http_private: bool,
    /// Targets it may notify.
    pub callbacks: Vec<String>,
    /// Patterns of the kinds that it may submit, `*` matching any run of characters.
    pub submit: Vec<String>,
    /// Values for the plugin's `context.config`. They may be secrets and are never shown.
    pub config: BTreeMap<String, String>,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            models: vec!["*".to_owned()],
            kv: true,
            http: Vec::new(),
            http_private: false,
            callbacks: Vec::new(),
            submit: Vec::new(),
            config: BTreeMap::new(),
        }
    }
}

impl Grant {
    /// Checks that its patterns can match something, as those of a manifest must. It is written at `key`.
    ///
    /// # Errors
    /// [`NotPatterns`], for the first list that is wrong.
    pub fn check_patterns(&self, key: &str) -> Result<(), NotPatterns> {
        let Self { models, kv: _, http, http_private: _, callbacks, submit, config: _ } = self;
        patterns::models(&format!("{key}.models"), models)?;
        patterns::hosts(&format!("{key}.http"), http)?;
        patterns::targets(&format!("{key}.callbacks"), callbacks)?;
        patterns::kinds(&format!("{key}.submit"), submit)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { models, kv, http, http_private, callbacks, submit, config } = self;
        f.debug_struct("Grant")
            .field("models", models)
            .field("kv", kv)
            .field("http", http)
            .field("http_private", http_private)
            .field("callbacks", callbacks)
            .field("submit", submit)
            .field("config", &config.keys())
            .finish()
    }
}

/// Wishes of the manifest that the operator has not granted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the manifest asks for {wishes}, which is not granted; if you trust the plugin with it, write \
     under [grants.{plugin}] in roughneck.toml: {lines}"
)]
pub struct NotGranted {
    /// The plugin.
    pub plugin: String,
    /// What it wants, in words.
    pub wishes: String,
    /// The lines that would grant it.
    pub lines: String,
}

/// The third gate: every capability of the manifest is granted. The wish `*` leaves the choice to
/// the operator: any grant of that capability satisfies it, and each call is held to the grant.
///
/// # Errors
/// [`NotGranted`] with the lines the operator would have to write.
pub fn check(plugin: &str, wanted: &Capabilities, grant: &Grant) -> Result<(), NotGranted> {
    let mut missing: Vec<(String, String)> = Vec::new();
    let models = wanted.llm.as_ref().map_or(&[][..], |llm| &llm.models);
    if !covered(models, &grant.models) {
        missing.push((format!("the models {models:?}"), format!("`models = {models:?}`")));
    }
    let hosts = wanted.http.as_ref().map_or(&[][..], |http| &http.hosts);
    if !covered(hosts, &grant.http) {
        missing.push((format!("HTTP to {hosts:?}"), format!("`http = {hosts:?}`")));
    }
    let targets = wanted.callback.as_ref().map_or(&[][..], |callback| &callback.targets);
    if !covered(targets, &grant.callbacks) {
        missing.push((format!("callbacks to {targets:?}"), format!("`callbacks = {targets:?}`")));
    }
    let kinds = wanted.submit.as_ref().map_or(&[][..], |submit| &submit.kinds);
    if !covered(kinds, &grant.submit) {
        missing.push((format!("to submit the kinds {kinds:?}"), format!("`submit = {kinds:?}`")));
    }
    if wanted.kv.is_some() && !grant.kv {
        missing.push(("a key-value store".to_owned(), "`kv = true`".to_owned()));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (wishes, lines): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    Err(NotGranted {
        plugin: plugin.to_owned(),
        wishes: wishes.join(" and "),
        lines: lines.join(" and "),
    })
}

/// Every wish is granted: a granted pattern matches it, or it is `*` and something is granted.
fn covered(wishes: &[String], granted: &[String]) -> bool {
    wishes.iter().all(|wish| granted.iter().any(|pattern| wish == "*" || matches(pattern, wish)))
}

/// Whether `text` can be the name of one of the operator's targets.
#[must_use]
pub fn is_target(text: &str) -> bool {
    text.len() <= TARGET_BYTES_MAX && matches!(text.parse(), Ok(Target::Named(_)))
}

/// Whether `text` fits `pattern`, in which `*` stands for any run of characters. Linear in both.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{CallbackWish, HttpWish, LlmWish, SubmitWish};

    #[test]
    fn patterns_match_whole_texts() {
        let table = [
            ("*", "anything", true),
            ("qwen3:*", "qwen3:30b", true),
            ("qwen3:*", "qwen2:30b", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.example.com.evil.org", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("", "", true),
            ("a*a", "a", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_plugin_without_a_grant_reaches_no_network_and_is_told_the_missing_line() {
        let wanted = Capabilities {
            http: Some(HttpWish { hosts: vec!["api.example.com".into()] }),
            ..Capabilities::default()
        };
        let error = check("site-health", &wanted, &Grant::default()).unwrap_err().to_string();
        let remedy = "under [grants.site-health] in roughneck.toml: `http = [\"api.example.com\"]`";
        assert!(error.ends_with(remedy), "{error}");
        let grant = Grant { http: vec!["*.example.com".into()], ..Grant::default() };
        assert_eq!(check("site-health", &wanted, &grant), Ok(()));
    }

    #[test]
    fn a_plugin_submits_no_job_unless_the_operator_says_which_kinds() {
        let wanted = Capabilities {
            submit: Some(SubmitWish { kinds: vec!["page".into()] }),
            ..Capabilities::default()
        };
        let error = check("site", &wanted, &Grant::default()).unwrap_err().to_string();
        let remedy = "under [grants.site] in roughneck.toml: `submit = [\"page\"]`";
        assert!(error.ends_with(remedy), "{error}");
        let grant = Grant { submit: vec!["pa*".into()], ..Grant::default() };
        assert_eq!(check("site", &wanted, &grant), Ok(()));
    }

    #[test]
    fn a_target_is_a_short_name() {
        for name in ["cms", "team-7", &"x".repeat(63)] {
            assert!(is_target(name), "{name}");
        }
        for other in ["", "CMS", "a b", "https://hooks.example/", &"x".repeat(64)] {
            assert!(!is_target(other), "{other}");
        }
    }

    #[test]
    fn a_grant_is_shown_without_its_values() {
        let config = [("api-key".to_owned(), "s3cret".to_owned())].into();
        let shown = format!("{:?}", Grant { config, ..Grant::default() });
        assert!(shown.contains("api-key") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_wish_for_everything_leaves_the_choice_to_the_operator_who_must_make_one() {
        let wanted = Capabilities {
            llm: Some(LlmWish { models: vec!["*".into()] }),
            ..Capabilities::default()
        };
        let granted = |models: &[&str]| {
            let models = models.iter().map(ToString::to_string).collect();
            check("p", &wanted, &Grant { models, ..Grant::default() }).is_ok()
        };
        assert!(granted(&["qwen3:*"]) && granted(&["*"]) && !granted(&[]));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let wanted = Capabilities {
            http: Some(HttpWish { hosts: vec!["*".into()] }),
            callback: Some(CallbackWish { targets: vec!["alerts".into()] }),
            ..Capabilities::default()
        };
        let error = check("p", &wanted, &Grant::default()).unwrap_err().to_string();
        assert!(error.ends_with("`http = [\"*\"]` and `callbacks = [\"alerts\"]`"), "{error}");
    }
}
