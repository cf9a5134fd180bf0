//! `roughneck job`: jobs of a running host, over HTTP as any client would.

mod cancel;
mod events;
mod family;
mod list;
mod page;
mod retry;
mod show;
mod submit;
pub(super) mod wait;

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use roughneck_jobs::manifest::text;

use super::host::Host;
use crate::{
    client::Connection,
    exit::{self, Exit},
};

/// Arguments of `roughneck job`.
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
    /// Submit a job and print its id
    Submit(submit::Arguments),
    /// List jobs, the newest first
    List(list::Arguments),
    /// Show everything about one job
    Show(show::Arguments),
    /// Wait until a job ends, and print its output
    ///
    /// A host that restarts meanwhile is waited for, two minutes at most.
    Wait(wait::Arguments),
    /// Follow a job to its end, one line an event
    Events(events::Arguments),
    /// Run a job again that has failed or was cancelled
    Retry(retry::Arguments),
    /// Cancel a job, at once
    Cancel(cancel::Arguments),
}

/// Runs `roughneck job`.
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
        Action::Events(arguments) => events::run(&host, &arguments).await.map(done),
        Action::Retry(arguments) => retry::run(&host, &arguments).await.map(done),
        Action::Cancel(arguments) => cancel::run(&host, &arguments).await.map(done),
    };
    host.told(ended)
}

/// Reads a duration such as `90s` or `10m`.
pub(super) fn duration(text: &str) -> Result<Duration, text::NotAQuantity> {
    text::duration_ms(text).map(Duration::from_millis)
}
