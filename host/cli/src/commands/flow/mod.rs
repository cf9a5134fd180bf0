//! `roughneck flow`: flows of a running host, jobs that wait for each other.

mod cancel;
mod list;
mod page;
mod retry;
mod show;
mod submit;
mod tree;
mod wait;

use anyhow::Result;
use clap::Subcommand;

use super::host::Host;
use crate::{
    client::Connection,
    exit::{self, Exit},
};

/// Arguments of `roughneck flow`.
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
    /// Submit a flow and print its id
    Submit(submit::Arguments),
    /// List flows, the newest first
    List(list::Arguments),
    /// Show a flow as a tree: each job above those that it needs
    Show(show::Arguments),
    /// Wait until a flow is over; if one job is its last, print its output
    ///
    /// A host that restarts meanwhile is waited for, two minutes at most.
    Wait(wait::Arguments),
    /// Cancel all jobs of a flow that are not over
    Cancel(cancel::Arguments),
    /// Run all jobs of a flow again that have failed or were cancelled
    Retry(retry::Arguments),
}

/// Runs `roughneck flow`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let host = Host::of(&arguments.connection)?;
    let done = |()| Exit::Done;
    let ended = match arguments.action {
        Action::Submit(arguments) => submit::run(&host, arguments).await,
        Action::List(arguments) => list::run(&host, &arguments).await.map(done),
        Action::Show(arguments) => show::run(&host, &arguments).await.map(done),
        Action::Wait(arguments) => wait::run(&host, &arguments).await,
        Action::Cancel(arguments) => cancel::run(&host, &arguments).await.map(done),
        Action::Retry(arguments) => retry::run(&host, &arguments).await.map(done),
    };
    host.told(ended)
}
