//! `roughneck schedule`: schedules of a running host, over HTTP as any client would.

mod change;
mod create;
mod definition;
mod delete;
mod list;
mod page;
mod pause;
mod resume;
mod run;
mod show;

use anyhow::Result;
use clap::Subcommand;

use super::{host::Host, job};
use crate::{
    client::Connection,
    exit::{self, Exit},
};

/// Arguments of `roughneck schedule`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the schedules of manifests and those made over HTTP, with their next fires
    List,
    /// Show everything about one schedule
    Show(show::Arguments),
    /// Make a schedule
    Create(create::Arguments),
    /// Make a schedule another one under the same id; what is left out becomes the default
    Change(change::Arguments),
    /// Let a schedule fire nothing until it is resumed
    Pause(pause::Arguments),
    /// Let a paused schedule fire again; it makes up for nothing
    Resume(resume::Arguments),
    /// Run a schedule now, by hand, and print the id of its job
    Run(run::Arguments),
    /// Delete a schedule that was made over HTTP; its jobs stay
    Delete(delete::Arguments),
}

/// Runs `roughneck schedule`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let host = Host::of(&arguments.connection)?;
    let done = |()| Exit::Done;
    let ended = match arguments.action {
        Action::List => list::run(&host).await.map(done),
        Action::Show(arguments) => show::run(&host, &arguments).await.map(done),
        Action::Create(arguments) => create::run(&host, arguments).await.map(done),
        Action::Change(arguments) => change::run(&host, arguments).await.map(done),
        Action::Pause(arguments) => pause::run(&host, &arguments).await.map(done),
        Action::Resume(arguments) => resume::run(&host, &arguments).await.map(done),
        Action::Run(arguments) => run::run(&host, &arguments).await,
        Action::Delete(arguments) => delete::run(&host, &arguments).await.map(done),
    };
    host.told(ended)
}
