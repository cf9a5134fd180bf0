//! `roughneck schedule delete`: deletes a schedule that was made over HTTP.

use anyhow::Result;

use super::Host;
use crate::client::schedule_path;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The schedule's id
    id: String,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let answer = host.client.delete(&schedule_path(&arguments.id)).await?;
    host.print(&answer, &format!("deleted {}", arguments.id))
}
