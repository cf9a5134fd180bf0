//! Models as the host's Ollama surface tells them.

use anyhow::Error;
use jiff::Timestamp;
use roughneck_jobs::{clock::Millis, strict};
use serde::Deserialize;

use super::{Client, Refused};
use crate::terminal::clean;

/// `GET /api/tags`.
#[derive(Debug, Deserialize)]
pub(crate) struct Models {
    models: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    capabilities: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    parameter_size: String,
    quantization_level: String,
}

/// An installed model.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) name: String,
    /// Its other names: copies, and the host's aliases, which come after what is installed.
    pub(crate) aliases: Vec<String>,
    digest: String,
    pub(crate) size: u64,
    pub(crate) parameters: String,
    pub(crate) quantisation: String,
    pub(crate) capabilities: Vec<String>,
}

/// `GET /api/ps`.
#[derive(Debug, Deserialize)]
pub(crate) struct Loads {
    pub(crate) models: Vec<Loaded>,
}

/// A loaded model.
#[derive(Debug, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    pub(crate) size: u64,
    pub(crate) context_length: Option<u64>,
    expires_at: Option<String>,
}

/// `GET /aliases`.
#[derive(Debug, Deserialize)]
pub(crate) struct Aliases {
    pub(crate) aliases: Vec<Alias>,
}

/// A name that stands for a model.
#[derive(Debug, Deserialize)]
pub(crate) struct Alias {
    pub(crate) alias: String,
    pub(crate) model: Option<String>,
    /// Why there is none.
    pub(crate) error: Option<String>,
}

impl Models {
    /// The models, each with all of its names.
    pub(crate) fn installed(self) -> Vec<Installed> {
        let mut all: Vec<Installed> = Vec::new();
        for tag in self.models {
            let same =
                |known: &&mut Installed| !tag.digest.is_empty() && known.digest == tag.digest;
            match all.iter_mut().find(same) {
                Some(known) => known.aliases.push(tag.name),
                None => all.push(Installed {
                    name: tag.name,
                    aliases: Vec::new(),
                    digest: tag.digest,
                    size: tag.size,
                    parameters: tag.details.parameter_size,
                    quantisation: tag.details.quantization_level,
                    capabilities: tag.capabilities,
                }),
            }
        }
        all
    }
}

impl Installed {
    /// Gives it the aliases that stand for it, where it does not have them yet.
    pub(crate) fn take_aliases(&mut self, aliases: &[Alias]) {
        for Alias { alias, model, error: _ } in aliases {
            let is_it = model.as_ref().is_some_and(|model| self.is_called(model));
            if is_it && !self.is_called(alias) {
                self.aliases.push(alias.clone());
            }
        }
    }

    /// Whether it is called so. Ollama takes a name without a tag for `latest`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let latest = format!("{name}:latest");
        let mut names = std::iter::once(&self.name).chain(&self.aliases);
        names.any(|known| known == name || *known == latest)
    }

    /// Whether it embeds and does nothing else.
    pub(crate) fn is_embedder(&self) -> bool {
        let can = |what: &str| self.capabilities.iter().any(|known| known == what);
        can("embedding") && !can("completion")
    }

    /// Whether it is the loaded one.
    pub(crate) fn is(&self, loaded: &Loaded) -> bool {
        self.name == loaded.name || (!self.digest.is_empty() && self.digest == loaded.digest)
    }
}

/// Adds to a refusal for want of this model which one may be meant. Ollama's words, which the host says, do not.
pub(crate) async fn with_hint(client: &Client, model: &str, error: Error) -> Error {
    let refused = match error.downcast::<Refused>() {
        Ok(refused) if refused.is_missing => refused,
        Ok(refused) => return refused.into(),
        Err(error) => return error,
    };
    let installed = async { client.get("/api/tags").await?.parse::<Models>() };
    // Without the list, what was refused is said all the same.
    let Ok(models) = installed.await else { return refused.into() };
    let hint = match near(&models.installed(), model) {
        Some(near) => format!("did you mean `{}`?", clean(near)),
        None => "`roughneck model list` lists those that are installed".to_owned(),
    };
    refused.with_hint(&hint).into()
}

/// The name that is probably meant by one that no model has.
fn near<'a>(models: &'a [Installed], wrong: &str) -> Option<&'a str> {
    if models.iter().any(|model| model.is_called(wrong)) {
        return None;
    }
    let names = || {
        let of = |model: &'a Installed| std::iter::once(&model.name).chain(&model.aliases);
        models.iter().flat_map(of).map(String::as_str)
    };
    // People forget the tag more often than the name.
    let family = |name: &str| name.split(':').next().unwrap_or(name).to_lowercase();
    let same_family = |name: &&str| family(name) == family(wrong);
    strict::nearest(wrong, names()).or_else(|| names().find(same_family))
}

impl Loaded {
    /// Milliseconds until it is unloaded if nobody asks it, or none if nobody can tell.
    pub(crate) fn left_ms(&self, now: Millis) -> Option<u64> {
        let at: Timestamp = self.expires_at.as_ref()?.parse().ok()?;
        Some(Millis(at.as_millisecond()).since_ms(now))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_one_model_are_told_together() {
        let tag = |name: &str, digest: &str| json!({"name": name, "digest": digest, "size": 7});
        let tags = json!({"models": [tag("a:1b", "x"), tag("b:latest", "y"), tag("quick", "x")]});
        let models: Models = serde_json::from_value(tags).unwrap();
        let installed = models.installed();
        assert_eq!(installed.len(), 2);
        assert_eq!(
            (installed[0].name.as_str(), &*installed[0].aliases),
            ("a:1b", &["quick".to_owned()][..])
        );
        assert!(installed[0].is_called("quick") && installed[1].is_called("b"));
        assert!(!installed[0].is_called("a"));
    }

    #[test]
    fn a_name_that_no_model_has_leads_to_one_that_was_meant() {
        let tag = |name: &str| json!({"name": name, "digest": name, "size": 7});
        let tags = json!({"models": [tag("qwen3:30b-a3b-instruct"), tag("b:latest")]});
        let installed = serde_json::from_value::<Models>(tags).unwrap().installed();
        for (wrong, meant) in [
            ("qwen3", Some("qwen3:30b-a3b-instruct")),
            ("qwen3:30b-a3b-instuct", Some("qwen3:30b-a3b-instruct")),
            ("mistral", None),
            ("b", None),
        ] {
            assert_eq!(near(&installed, wrong), meant, "{wrong}");
        }
    }

    #[test]
    fn the_time_that_is_left_is_read_with_its_offset() {
        let told = json!({"name": "a", "expires_at": "1970-01-01T01:00:05.5+01:00"});
        let loaded: Loaded = serde_json::from_value(told).unwrap();
        assert_eq!(loaded.left_ms(Millis(500)), Some(5000));
        assert_eq!(loaded.left_ms(Millis(9000)), Some(0));
    }
}
