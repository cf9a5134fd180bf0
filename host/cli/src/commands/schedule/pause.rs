//! `roughneck schedule pause`: lets a schedule fire nothing.

use anyhow::Result;
use serde::Serialize;

use super::Host;
use crate::client::schedule_path;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The schedule's id
    id: String,
    /// Why, for whoever looks at it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let path = format!("{}/pause", schedule_path(&arguments.id));
    let answer = host.client.post(&path, &Body { reason: arguments.reason.as_deref() }).await?;
    host.print(&answer, &format!("paused {}", arguments.id))
}
