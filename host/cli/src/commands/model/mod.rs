//! `roughneck model`: the models of the Ollama behind a host.

mod alias;
mod list;
mod load;
mod ps;
mod unload;

use anyhow::Result;
use clap::Subcommand;

use super::host::Host;
use crate::client::{Caller, Connection, Installed, Models};

/// Arguments of `roughneck model`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what is installed, with its other names, and what is loaded
    List,
    /// Show what is loaded, and for how long
    Ps,
    /// Load a model, when its turn in the queue has come
    Load(load::Arguments),
    /// Unload a model that nobody waits for
    Unload(unload::Arguments),
    /// List the names that stand for a model of another name
    Alias,
}

/// Runs `roughneck model`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let host = Host::of(&arguments.connection)?;
    let ended = match &arguments.action {
        Action::List => list::run(&host).await,
        Action::Ps => ps::run(&host).await,
        Action::Load(load) => {
            load::run(&host, &Caller::new(&arguments.connection.url)?, load).await
        }
        Action::Unload(unload) => {
            unload::run(&host, &Caller::new(&arguments.connection.url)?, unload).await
        }
        Action::Alias => alias::run(&host).await,
    };
    host.told(ended)
}

/// What is installed.
async fn installed(host: &Host) -> Result<Vec<Installed>> {
    let answer = host.client.get("/api/tags").await?;
    Ok(answer.parse::<Models>()?.installed())
}
