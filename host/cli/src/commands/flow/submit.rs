//! `roughneck flow submit`: sends a flow, and waits for it if asked to.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use roughneck_jobs::id::FlowId;
use serde::Deserialize;

use super::{Host, wait};
use crate::{
    commands::{input, job::duration},
    exit::{self, Exit},
    terminal,
};

/// An example says more than a schema.
const EXAMPLE: &str = "\
The file holds what `POST /flows` takes:
  {\"name\": \"letter\", \"jobs\": [
    {\"name\": \"fetch\", \"kind\": \"…\", \"input\": {…}},
    {\"name\": \"render\", \"kind\": \"…\", \"needs\": [\"fetch\"],
     \"input\": {\"page\": {\"$result\": \"fetch\", \"at\": \"/page\"}}},
    {\"name\": \"send\", \"kind\": \"…\", \"needs\": [{\"job\": \"render\", \"on_failure\": \"continue\"}],
     \"input\": {\"text\": {\"$result\": \"render\", \"else\": \"nothing to say\"}}}]}
`on_failure` is fail, continue or ignore.";

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLE}\n\n{}", exit::CODES))]
pub(super) struct Arguments {
    /// A file with the flow; `-` reads standard input
    file: PathBuf,
    /// Show the flow until it is over
    #[arg(long, visible_alias = "watch")]
    wait: bool,
    /// How long to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    timeout: Option<Duration>,
}

#[derive(Deserialize)]
struct Accepted {
    id: FlowId,
}

pub(super) async fn run(host: &Host, arguments: Arguments) -> Result<Exit> {
    let flow = input::read(&arguments.file)?;
    let answer = host.client.post("/flows", &flow).await?;
    let Accepted { id } = answer.parse()?;
    if arguments.wait {
        terminal::tell(&format!("flow      {id}"));
        return wait::until_end(host, id, arguments.timeout).await;
    }
    host.print(&answer, &id.to_string())?;
    Ok(Exit::Done)
}
