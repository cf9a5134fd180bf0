//! `roughneck config check`: is the configuration good, before the host is stopped for it?

use std::fmt::Display;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    config::{Config, Overrides},
    terminal,
};

/// Arguments of `roughneck config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read the configuration as `serve` would, and say what is wrong with it
    Check(Overrides),
}

/// Runs `roughneck config`.
///
/// # Errors
/// What is wrong with the configuration, in one sentence.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.action {
        Action::Check(overrides) => terminal::print(&told(&Config::load_to_serve(overrides)?)?),
    }
}

/// What `serve` would make of it.
fn told(config: &Config) -> Result<String> {
    let mut told = "the configuration is good\n".to_owned();
    let mut line = |label: &str, text: &dyn Display| {
        told.push_str(&format!("  {label:<9} {text}\n"));
    };
    line("data", &config.data_dir().display());
    line("listen", &config.server.address()?);
    line("ollama", &config.ollama.shown_url()?);
    for folder in config.plugins() {
        line("plugins", &folder.display());
    }
    for slots in config.classes.slots()? {
        line("class", &format_args!("{} with {} slots", slots.class, slots.count));
    }
    let budgets = config.budgets.limits()?;
    let daily = budgets.kinds.iter().map(|(name, limit)| ("kind", name, limit));
    let daily = daily.chain(budgets.callers.iter().map(|(name, limit)| ("caller", name, limit)));
    for (scope, name, limit) in daily {
        line("budget", &format_args!("{limit} tokens a day for the {scope} {name}"));
    }
    for (name, target) in config.callbacks.targets()? {
        // Many receivers know their senders by the rest of the URL.
        let origin = target.url.parse::<reqwest::Url>()?.origin().ascii_serialization();
        line("target", &format_args!("{name} at {origin}"));
    }
    for plugin in config.grants.keys() {
        line("grant", &format_args!("for {plugin}"));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_configuration_may_be_shown_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("roughneck.toml");
        let text = "[ollama]\nurl = \"http://me:secret@mini:11434\"\n\
                    [callbacks.targets.chat]\nurl = \"https://chat.example/hooks/secret?key=secret\"\n";
        std::fs::write(&file, text).unwrap();
        let told = told(&Config::load(&Overrides::of(&file)).unwrap()).unwrap();
        assert!(told.contains("http://mini:11434\n"), "{told}");
        assert!(told.contains("chat at https://chat.example\n"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
