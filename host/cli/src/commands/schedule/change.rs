//! `roughneck schedule change`: makes a schedule another one under the same id.

use anyhow::Result;

use super::{Host, definition::Definition};
use crate::client::schedule_path;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The schedule's id
    id: String,
    #[command(flatten)]
    definition: Definition,
}

pub(super) async fn run(host: &Host, arguments: Arguments) -> Result<()> {
    let Arguments { id, definition } = arguments;
    let answer = host.client.put(&schedule_path(&id), &definition.body(&id)?).await?;
    host.print(&answer, &format!("changed {id}"))
}
