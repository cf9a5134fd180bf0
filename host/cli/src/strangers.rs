//! Names in the configuration that stand for nothing on this host. Most are mistyped. None is a reason not to start:
//! what it is for may come later.

use std::collections::BTreeSet;

use anyhow::Result;
use roughneck_jobs::{
    ports::{catalog::Catalog, gateway},
    strict::nearest,
};

use crate::config::Config;

/// What is there.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    pub(crate) plugins: BTreeSet<String>,
    /// By all of their names.
    pub(crate) kinds: BTreeSet<String>,
    /// Folders of plugins that are refused. What they would serve is not known.
    pub(crate) refused: BTreeSet<String>,
}

impl Installed {
    /// What a catalog has.
    pub(crate) fn of(catalog: &impl Catalog) -> Self {
        let plugins = catalog.plugins();
        let kinds = plugins.iter().flat_map(|plugin| &plugin.manifest.kinds);
        Self {
            kinds: kinds
                .flat_map(|kind| kind.aliases.iter().chain([&kind.name]))
                .cloned()
                .collect(),
            plugins: plugins.iter().map(|plugin| plugin.manifest.name.clone()).collect(),
            refused: catalog.refused().into_iter().map(|refused| refused.name).collect(),
        }
    }
}

/// A sentence for each grant that allows nothing there is.
///
/// # Errors
/// If the targets cannot be read.
pub(crate) fn grants(config: &Config, installed: &Installed) -> Result<Vec<String>> {
    let Installed { plugins, kinds: _, refused } = installed;
    let names = config.grants.keys();
    let names = names.filter(|name| !plugins.contains(*name) && !refused.contains(*name));
    let mut sentences: Vec<String> = names
        .map(|name| {
            let hint = hint(name, plugins);
            format!("[grants.{name}] is for a plugin that is not installed{hint}")
        })
        .collect();
    // A plugin that wants the target is let in by the grant alone.
    let targets = config.callbacks.targets()?;
    let is_there = |target: &str| target.contains('*') || targets.contains_key(target);
    for (plugin, grant) in &config.grants {
        let missing = grant.callbacks.iter().filter(|target| !is_there(target));
        sentences.extend(missing.map(|target| {
            format!("[grants.{plugin}] allows callbacks to `{target}`, and there is no [callbacks.targets.{target}]")
        }));
    }
    Ok(sentences)
}

/// A sentence for each kind that has a budget and is served by nobody.
///
/// # Errors
/// If the budgets cannot be read.
pub(crate) fn budgets(config: &Config, installed: &Installed) -> Result<Vec<String>> {
    let Installed { plugins: _, kinds, refused } = installed;
    if !refused.is_empty() {
        return Ok(Vec::new());
    }
    let limits = config.budgets.limits()?;
    let names = limits.kinds.keys();
    let names = names.filter(|name| !kinds.contains(*name) && *name != gateway::KIND);
    let told = names.map(|name| {
        let hint = hint(name, kinds);
        format!("`{name}` under [budgets.kinds] is no kind that a plugin serves{hint}")
    });
    Ok(told.collect())
}

fn hint(wrong: &str, known: &BTreeSet<String>) -> String {
    let near = nearest(wrong, known.iter().map(String::as_str));
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roughneck_jobs::{
        manifest,
        ports::catalog::{Plugin, RefusedPlugin, Served},
    };

    use super::*;
    use crate::config::Overrides;

    fn config() -> Config {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("roughneck.toml");
        let text = "[grants.site-healht]\n[grants.site-health]\n[grants.mill]\n\
                    callbacks = [\"nope\", \"team-*\", \"alerts\"]\n[callbacks.targets.alerts]\nurl = \"http://a\"\n\
                    [budgets.kinds]\ndraft = 1\nnope = 2\n\"ollama.call\" = 3\n";
        std::fs::write(&file, text).unwrap();
        Config::load(&Overrides::of(&file)).unwrap()
    }

    fn told(refused: &[&str]) -> Vec<String> {
        let config = config();
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let installed = Installed {
            plugins: set(&["site-health", "ollama"]),
            kinds: set(&["draft"]),
            refused: set(refused),
        };
        let told = [grants(&config, &installed), budgets(&config, &installed)];
        told.into_iter().flat_map(Result::unwrap).collect()
    }

    #[test]
    fn a_name_that_stands_for_nothing_is_told_with_what_it_may_mean() {
        assert_eq!(
            told(&[]),
            [
                "[grants.mill] is for a plugin that is not installed",
                "[grants.site-healht] is for a plugin that is not installed; did you mean `site-health`?",
                "[grants.mill] allows callbacks to `nope`, and there is no [callbacks.targets.nope]",
                "`nope` under [budgets.kinds] is no kind that a plugin serves",
            ]
        );
    }

    #[test]
    fn a_budget_under_an_older_name_of_a_kind_is_no_stranger() {
        struct Mill;
        impl Catalog for Mill {
            fn served(&self, _: &str) -> Option<Arc<Served>> {
                None
            }

            fn plugins(&self) -> Vec<Arc<Plugin>> {
                let text = "manifest = 1\n[plugin]\nname = \"mill\"\nversion = \"1.0.0\"\n\
                            world = \"roughneck:plugin/job-pure@1.0.0\"\n[component]\nsource = \"mill.wasm\"\n\
                            [[kind]]\nname = \"write\"\naliases = [\"draft\"]\nclass = \"io\"\n";
                let manifest = manifest::parse(text).unwrap();
                vec![Arc::new(Plugin { digest: "sha256:0".to_owned(), manifest })]
            }

            fn refused(&self) -> Vec<RefusedPlugin> {
                Vec::new()
            }
        }
        let told = budgets(&config(), &Installed::of(&Mill)).unwrap();
        assert_eq!(told, ["`nope` under [budgets.kinds] is no kind that a plugin serves"]);
    }

    #[test]
    fn what_a_refused_plugin_would_serve_is_not_known() {
        assert_eq!(told(&["mill"]).len(), 2);
    }
}
