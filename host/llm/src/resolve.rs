//! From the name a job asks for to a model that is installed.

use std::collections::BTreeMap;

use roughneck_jobs::{
    model::{LlmError, Resolved, Site},
    strict,
};

use crate::{
    model_name::{self, is_same, normalised},
    report::Installed,
};

/// The alias that means something even when nobody configured it.
pub(crate) const DEFAULT: &str = "default";
/// What to pull when nothing is installed: small, and good enough for the plugins of this repo.
const FIRST_MODEL: &str = "qwen3:4b";
/// Names in a hint; more would hide the sentence.
const HINT_NAMES_MAX: usize = 6;

/// What a job asks for, once aliases are followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// This model.
    Named {
        /// Its name, as written.
        name: &'a str,
        /// The alias that led there.
        alias: Option<&'a str>,
    },
    /// `default`, which nobody configured: the newest model that can chat.
    Newest,
}

/// What an alias stands for.
pub(crate) fn alias<'a>(aliases: &'a BTreeMap<String, String>, asked: &str) -> Option<&'a str> {
    entry(aliases, asked).map(|(_, name)| name.trim())
}

/// The alias that is asked for. A model of that name could be spelled in other ways as well, and clients do so.
fn entry<'a>(
    aliases: &'a BTreeMap<String, String>,
    asked: &str,
) -> Option<(&'a String, &'a String)> {
    let exactly = aliases.get_key_value(asked.trim());
    exactly.or_else(|| aliases.iter().find(|(alias, _)| is_same(alias, asked)))
}

/// All aliases: those of the operator, and the one that means something without being configured.
pub(crate) fn aliases(configured: &BTreeMap<String, String>) -> Vec<String> {
    let mut aliases: Vec<String> = configured.keys().cloned().collect();
    if !aliases.iter().any(|alias| is_default(alias)) {
        aliases.insert(0, DEFAULT.to_owned());
    }
    aliases
}

/// What the aliases stand for: as configured, and the newest model of the one that means something without being
/// configured, while there is such a model.
pub(crate) fn meanings(
    configured: &BTreeMap<String, String>,
    models: &[Installed],
) -> BTreeMap<String, String> {
    let mut meanings = configured.clone();
    if wanted(configured, DEFAULT) == Wanted::Newest
        && let Some(model) = newest(models)
    {
        meanings.insert(DEFAULT.to_owned(), model.name.clone());
    }
    meanings
}

/// The installed models that nobody gets who asks for them, because an alias has their name.
pub(crate) fn hidden<'a>(
    aliases: &BTreeMap<String, String>,
    models: &'a [Installed],
) -> Vec<&'a str> {
    let names = models.iter().map(|model| model.name.as_str());
    names.filter(|name| is_default(name) || entry(aliases, name).is_some()).collect()
}

/// Whether it is the alias that means something even when nobody configured it.
pub(crate) fn is_default(asked: &str) -> bool {
    is_same(asked, DEFAULT)
}

/// Follows an alias, once.
pub(crate) fn wanted<'a>(aliases: &'a BTreeMap<String, String>, asked: &'a str) -> Wanted<'a> {
    let asked = asked.trim();
    match entry(aliases, asked) {
        Some((alias, name)) => Wanted::Named { name: name.trim(), alias: Some(alias) },
        None if is_default(asked) => Wanted::Newest,
        None => Wanted::Named { name: asked, alias: None },
    }
}

impl Wanted<'_> {
    /// The same, if a model can be called so.
    ///
    /// # Errors
    /// [`LlmError::Invalid`], in Ollama's words. Nobody need look for it, nor wait for an Ollama that is away.
    pub(crate) fn checked(self) -> Result<Self, LlmError> {
        match &self {
            Self::Named { name, alias: _ } => match model_name::objection(name) {
                Some(why) => Err(LlmError::Invalid(why)),
                None => Ok(self),
            },
            Self::Newest => Ok(self),
        }
    }

    /// The name at its word, for as long as Ollama cannot be asked.
    pub(crate) fn unchecked(&self) -> Resolved {
        let name = match self {
            Self::Named { name, alias: _ } => name,
            Self::Newest => DEFAULT,
        };
        let site = model_name::site(name).unwrap_or(Site::Here);
        Resolved { name: name.to_owned(), digest: None, site }
    }

    /// The installed model that is meant. One whose name says that it is of the cloud need not be installed: Ollama passes
    /// on what is asked of it all the same.
    pub(crate) fn among(&self, models: &[Installed]) -> Result<Resolved, LlmError> {
        let found = match self {
            Self::Named { name, alias: _ } => find(models, name),
            Self::Newest => newest(models),
        };
        match found {
            Some(model) => Ok(Resolved {
                name: model.name.clone(),
                digest: Some(model.digest.clone()).filter(|digest| !digest.is_empty()),
                site: model.site(),
            }),
            None => match self.unchecked() {
                cloud @ Resolved { site: Site::Cloud, .. } => Ok(cloud),
                Resolved { site: Site::Here, .. } => Err(self.not_installed(models)),
            },
        }
    }

    /// The refusal, with what else could be meant.
    pub(crate) fn not_installed(&self, models: &[Installed]) -> LlmError {
        match self {
            Self::Named { name, alias } => {
                let mut hint = alias
                    .map(|alias| format!("; the alias `{alias}` points to it"))
                    .unwrap_or_default();
                hint.push_str(&alternatives(models, name));
                LlmError::NotInstalled { model: (*name).to_owned(), hint }
            }
            Self::Newest => LlmError::NotInstalled {
                model: FIRST_MODEL.to_owned(),
                hint: "; no model that can chat is installed, so `default` means nothing yet"
                    .to_owned(),
            },
        }
    }
}

/// A model as Ollama names it. Some have no digest.
pub(crate) fn named(name: &str, digest: &str) -> Resolved {
    let digest = Some(digest.to_owned()).filter(|digest| !digest.is_empty());
    let site = model_name::site(name).unwrap_or(Site::Here);
    Resolved { name: name.to_owned(), digest, site }
}

/// The installed model of this name, in any spelling. One of the cloud is not there for those who say `:local`.
pub(crate) fn find<'a>(models: &'a [Installed], name: &str) -> Option<&'a Installed> {
    let site = model_name::site(name);
    let is_it = |model: &&Installed| {
        is_same(&model.name, name) && (site != Some(Site::Here) || model.site() == Site::Here)
    };
    models.iter().find(is_it)
}

fn newest(models: &[Installed]) -> Option<&Installed> {
    models
        .iter()
        .filter(|model| model.can_chat() && model.site() == Site::Here)
        .max_by(|a, b| a.modified_at().cmp(&b.modified_at()).then_with(|| b.name.cmp(&a.name)))
}

fn alternatives(models: &[Installed], wrong: &str) -> String {
    // Ollama may have deleted it since the last look.
    let others = models.iter().filter(|model| !is_same(&model.name, wrong));
    let names: Vec<&str> = others.map(|model| model.name.as_str()).collect();
    // People forget the tag more often than the name, so names are also compared without it.
    let without_tag = wrong.split(':').next().unwrap_or(wrong).to_lowercase();
    let same_family = |name: &&&str| name.split(':').next() == Some(without_tag.as_str());
    let near = strict::nearest(&normalised(wrong), names.iter().copied())
        .or_else(|| names.iter().find(same_family).copied());
    match (near, names.len()) {
        (Some(near), _) => format!("; did you mean `{near}`?"),
        (None, 0) => "; nothing else is installed".to_owned(),
        (None, installed) => {
            let shown = names.iter().take(HINT_NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
            match installed.saturating_sub(HINT_NAMES_MAX) {
                0 => format!("; installed: {shown}"),
                more => format!("; installed: {shown} and {more} more"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::installed;
    use serde_json::json;

    fn shelf() -> Vec<Installed> {
        installed(json!([
            {"name": "qwen3:4b", "digest": "q", "modified_at": "2026-08-01T10:00:00+02:00"},
            {"name": "llama3.2:3b", "digest": "l", "modified_at": "2026-08-01T09:30:00.5+01:00"},
            {"name": "nomic-embed-text:latest", "digest": "n", "modified_at": "2026-09-01T00:00:00Z"},
            {"name": "huge:1t-cloud", "digest": "h", "modified_at": "2026-10-01T00:00:00Z"},
            {"name": "stub:latest", "digest": "s", "remote_host": "https://ollama.com:443"},
        ]))
    }

    fn resolve(asked: &str, models: &[Installed]) -> Result<String, String> {
        let aliases = BTreeMap::from([
            ("fast".to_owned(), "LLAMA3.2:3b".to_owned()),
            ("gone".to_owned(), "mistral".to_owned()),
        ]);
        let resolved = wanted(&aliases, asked).among(models);
        resolved.map(|model| model.name).map_err(|error| error.to_string())
    }

    #[test]
    fn names_and_aliases_lead_to_the_installed_model() {
        for (asked, name) in [
            ("qwen3:4b", "qwen3:4b"),
            (" QWEN3:4B", "qwen3:4b"),
            ("nomic-embed-text", "nomic-embed-text:latest"),
            ("fast", "llama3.2:3b"),
            ("FAST", "llama3.2:3b"),
            ("fast:latest", "llama3.2:3b"),
            // 09:30 at +01:00 is later than 10:00 at +02:00.
            ("default", "llama3.2:3b"),
            ("DEFAULT:latest", "llama3.2:3b"),
        ] {
            assert_eq!(resolve(asked, &shelf()), Ok(name.to_owned()), "{asked}");
        }
    }

    #[test]
    fn a_model_of_the_cloud_is_known_by_its_name_or_by_what_is_installed_under_it() {
        let aliases = BTreeMap::from([("big".to_owned(), "huge:1t-cloud".to_owned())]);
        let resolve = |asked, models: &[Installed]| {
            let model = wanted(&aliases, asked).among(models).ok()?;
            Some((model.name, model.site))
        };
        let cloud = |name: &str| Some((name.to_owned(), Site::Cloud));
        for (asked, found) in [
            ("BIG", cloud("huge:1t-cloud")),
            ("Huge:1T-Cloud", cloud("huge:1t-cloud")),
            ("stub", cloud("stub:latest")),
            ("kimi-k2:cloud", cloud("kimi-k2:cloud")),
            ("stub:local", None),
            ("huge:1t-cloud:local", None),
            ("qwen3:4b:local", Some(("qwen3:4b".to_owned(), Site::Here))),
        ] {
            assert_eq!(resolve(asked, &shelf()), found, "{asked}");
        }
        assert_eq!(resolve("big", &[]), cloud("huge:1t-cloud"));
        let sites =
            ["big", "kimi-k2:cloud", "stub"].map(|it| wanted(&aliases, it).unchecked().site);
        assert_eq!(sites, [Site::Cloud, Site::Cloud, Site::Here], "as long as nobody can be asked");
    }

    #[test]
    fn a_model_whose_name_is_an_alias_is_hidden() {
        let aliases = BTreeMap::from([
            ("Qwen3:4b".to_owned(), "llama3.2:3b".to_owned()),
            ("nomic-embed-text".to_owned(), "qwen3:4b".to_owned()),
            ("fast".to_owned(), "llama3.2:3b".to_owned()),
        ]);
        assert_eq!(hidden(&aliases, &shelf()), ["qwen3:4b", "nomic-embed-text:latest"]);
        let models = installed(json!([{"name": "default:latest"}]));
        assert_eq!(hidden(&aliases, &models), ["default:latest"]);
    }

    #[test]
    fn default_is_an_alias_whether_it_is_configured_or_not() {
        let of = |alias: &str| aliases(&BTreeMap::from([(alias.to_owned(), "m".to_owned())]));
        assert_eq!(of("fast"), ["default", "fast"]);
        assert_eq!(of("Default:latest"), ["Default:latest"]);
    }

    #[test]
    fn the_newest_model_has_an_alias_unless_it_is_configured_or_nothing_can_chat() {
        let fast = BTreeMap::from([("fast".to_owned(), "qwen3:4b".to_owned())]);
        let meant =
            |models: &[Installed]| alias(&meanings(&fast, models), "DEFAULT").map(str::to_owned);
        assert_eq!(meant(&shelf()).as_deref(), Some("llama3.2:3b"));
        assert_eq!(meant(&[]), None);
        let own = BTreeMap::from([("Default:latest".to_owned(), "qwen3:4b".to_owned())]);
        assert_eq!(meanings(&own, &shelf()), own);
    }

    #[test]
    fn a_configured_default_wins_over_the_newest() {
        let aliases = BTreeMap::from([("default".to_owned(), "qwen3:4b".to_owned())]);
        assert_eq!(
            wanted(&aliases, "default").among(&shelf()).unwrap().digest.as_deref(),
            Some("q")
        );
    }

    #[test]
    fn a_model_that_is_not_there_says_what_else_could_be_meant() {
        let prefix = |model: &str| {
            format!("the model `{model}` is not installed in Ollama; run `ollama pull {model}`")
        };
        for (asked, sentence) in [
            ("qwen3:4", format!("{}; did you mean `qwen3:4b`?", prefix("qwen3:4"))),
            ("qwen3", format!("{}; did you mean `qwen3:4b`?", prefix("qwen3"))),
            (
                "gone",
                format!(
                    "{}; the alias `gone` points to it; installed: qwen3:4b, llama3.2:3b, \
                     nomic-embed-text:latest, huge:1t-cloud, stub:latest",
                    prefix("mistral")
                ),
            ),
        ] {
            assert_eq!(resolve(asked, &shelf()), Err(sentence), "{asked}");
        }
        let empty = resolve("default", &[]).unwrap_err();
        assert!(empty.starts_with(&prefix("qwen3:4b")), "{empty}");
        assert_eq!(resolve("x", &[]), Err(format!("{}; nothing else is installed", prefix("x"))));
    }

    #[test]
    fn without_an_inventory_a_name_is_taken_at_its_word() {
        let aliases = BTreeMap::from([("fast".to_owned(), "small:1b".to_owned())]);
        let unchecked = |asked| wanted(&aliases, asked).unchecked().name;
        assert_eq!(["fast", "default", "x"].map(unchecked), ["small:1b", "default", "x"]);
    }
}
