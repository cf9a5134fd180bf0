//! `roughneck schedule resume`: lets a paused schedule fire again.

use anyhow::Result;
use serde_json::json;

use super::Host;
use crate::client::schedule_path;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The schedule's id
    id: String,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let path = format!("{}/resume", schedule_path(&arguments.id));
    let answer = host.client.post(&path, &json!({})).await?;
    host.print(&answer, &format!("resumed {}", arguments.id))
}
