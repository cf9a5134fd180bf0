//! Grants: what the operator allows a plugin, and the third gate that compares it with the manifest.

use crate::manifest::Capabilities;

/// What one plugin may do. A plugin without an entry gets [`Grant::default`]: models and its own
/// key-value store, which reach nobody outside, but no network.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
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
    /// Values for the plugin's `context.config`.
    pub config: std::collections::BTreeMap<String, String>,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            models: vec!["*".to_owned()],
            kv: true,
            http: Vec::new(),
            http_private: false,
            callbacks: Vec::new(),
            config: std::collections::BTreeMap::new(),
        }
    }
}

/// A wish of the manifest that the operator has not granted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the manifest asks for {wish}, which is not granted; to allow it, write in roughneck.toml:\n[grants.{plugin}]\n{line}"
)]
pub struct NotGranted {
    /// The plugin.
    pub plugin: String,
    /// What it wants, in words.
    pub wish: String,
    /// The line that would grant it.
    pub line: String,
}

/// The third gate: every capability of the manifest is granted.
///
/// # Errors
/// [`NotGranted`] with the line the operator would have to write.
pub fn check(plugin: &str, wanted: &Capabilities, grant: &Grant) -> Result<(), NotGranted> {
    let refuse = |wish: String, line: String| NotGranted { plugin: plugin.to_owned(), wish, line };
    if let Some(llm) = &wanted.llm {
        covered(&llm.models, &grant.models).map_err(|missing| {
            refuse(format!("the models {missing:?}"), format!("models = {:?}", llm.models))
        })?;
    }
    if let Some(http) = &wanted.http {
        covered(&http.hosts, &grant.http).map_err(|missing| {
            refuse(format!("HTTP to {missing:?}"), format!("http = {:?}", http.hosts))
        })?;
    }
    if let Some(callback) = &wanted.callback {
        covered(&callback.targets, &grant.callbacks).map_err(|missing| {
            refuse(
                format!("callbacks to {missing:?}"),
                format!("callbacks = {:?}", callback.targets),
            )
        })?;
    }
    if wanted.kv.is_some() && !grant.kv {
        return Err(refuse("a key-value store".to_owned(), "kv = true".to_owned()));
    }
    Ok(())
}

/// Every wish is granted: as it is written, or because a granted pattern matches it.
fn covered<'a>(wishes: &'a [String], granted: &[String]) -> Result<(), Vec<&'a str>> {
    let missing: Vec<&str> = wishes
        .iter()
        .filter(|wish| !granted.iter().any(|pattern| matches(pattern, wish)))
        .map(String::as_str)
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
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
    use crate::manifest::{HttpWish, LlmWish};

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
        assert!(error.ends_with("[grants.site-health]\nhttp = [\"api.example.com\"]"), "{error}");
        let grant = Grant { http: vec!["*.example.com".into()], ..Grant::default() };
        assert_eq!(check("site-health", &wanted, &grant), Ok(()));
    }

    #[test]
    fn a_wish_for_everything_needs_a_grant_of_everything() {
        let wanted = Capabilities {
            llm: Some(LlmWish { models: vec!["*".into()] }),
            ..Capabilities::default()
        };
        let narrow = Grant { models: vec!["qwen3:*".into()], ..Grant::default() };
        assert!(check("p", &wanted, &narrow).is_err());
        assert_eq!(check("p", &wanted, &Grant::default()), Ok(()));
    }
}
