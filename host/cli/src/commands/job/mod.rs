//! `roughneck job`: jobs of a running host, over HTTP as any client would.

mod cancel;
mod events;
mod list;
mod page;
mod show;
mod submit;
mod wait;

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use roughneck_jobs::manifest::text;

use crate::{
    client::{Answer, Client, Connection, Refused},
    exit::{self, Exit},
    terminal,
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
    /// Cancel a job, at once
    Cancel(cancel::Arguments),
}

/// Where an action finds its host, and how it prints what that says.
struct Host {
    client: Client,
    json: bool,
}

impl Host {
    /// Prints the host's JSON, if that was asked for.
    fn print_json(&self, answer: &Answer) -> Result<()> {
        if self.json { terminal::print(&format!("{}\n", answer.text())) } else { Ok(()) }
    }
}

/// Runs `roughneck job`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let Connection { url, json } = arguments.connection;
    let host = Host { client: Client::new(&url)?, json };
    let done = |()| Exit::Done;
    let ended = match arguments.action {
        Action::Submit(arguments) => submit::run(&host, arguments).await,
        Action::List(arguments) => list::run(&host, &arguments).await.map(done),
        Action::Show(arguments) => show::run(&host, &arguments).await.map(done),
        Action::Wait(arguments) => wait::run(&host, &arguments).await,
        Action::Events(arguments) => events::run(&host, &arguments).await.map(done),
        Action::Cancel(arguments) => cancel::run(&host, &arguments).await.map(done),
    };
    if let Err(error) = &ended
        && host.json
        && let Some(refused) = error.downcast_ref::<Refused>()
    {
        // A program branches on its `code`.
        terminal::print(&format!("{}\n", refused.document))?;
    }
    ended
}

/// Reads a duration such as `90s` or `10m`.
fn duration(text: &str) -> Result<Duration, text::NotAQuantity> {
    text::duration_ms(text).map(Duration::from_millis)
}
