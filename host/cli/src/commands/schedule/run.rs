//! `roughneck schedule run`: runs a schedule now, by hand.

use std::time::Duration;

use anyhow::Result;
use roughneck_jobs::id::JobId;
use serde::Deserialize;
use serde_json::json;

use super::{
    Host,
    job::{duration, wait},
};
use crate::{
    client::schedule_path,
    exit::{self, Exit},
    terminal,
};

#[derive(Debug, clap::Args)]
#[command(after_help = exit::CODES)]
pub(super) struct Arguments {
    /// The schedule's id
    id: String,
    /// Show the job until it ends, and print its output
    #[arg(long)]
    wait: bool,
    /// How long to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    timeout: Option<Duration>,
}

#[derive(Deserialize)]
struct Accepted {
    id: JobId,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<Exit> {
    let path = format!("{}/run", schedule_path(&arguments.id));
    let answer = host.client.post(&path, &json!({})).await?;
    let Accepted { id } = answer.parse()?;
    if arguments.wait {
        terminal::tell(&format!("job      {id}"));
        return wait::until_end(host, id, arguments.timeout).await;
    }
    host.print(&answer, &id.to_string()).map(|()| Exit::Done)
}
