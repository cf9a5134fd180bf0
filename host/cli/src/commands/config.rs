//! `roughneck config check`: is the configuration good, before the host is stopped for it?

use anyhow::Result;
use clap::Subcommand;

use crate::config::{Config, Overrides};

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
        Action::Check(overrides) => {
            let config = Config::load(overrides)?;
            println!("the configuration is good");
            println!("  data      {}", config.data_dir().display());
            println!("  listen    {}", config.server.address()?);
            println!("  ollama    {}", config.ollama.url()?);
            for folder in config.plugins() {
                println!("  plugins   {}", folder.display());
            }
            for slots in config.classes.slots()? {
                println!("  class     {} with {} slots", slots.class, slots.count);
            }
            for (name, target) in config.callbacks.targets()? {
                println!("  target    {name} at {}", target.url);
            }
            for plugin in config.grants.keys() {
                println!("  grant     for {plugin}");
            }
            Ok(())
        }
    }
}
