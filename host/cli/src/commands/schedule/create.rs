//! `roughneck schedule create`: makes a schedule.

use anyhow::Result;

use super::{Host, definition::Definition};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A name of your own; sent again with the same schedule, it changes nothing
    id: String,
    #[command(flatten)]
    definition: Definition,
    /// Let it wait to be resumed
    #[arg(long)]
    paused: bool,
}

pub(super) async fn run(host: &Host, arguments: Arguments) -> Result<()> {
    let Arguments { id, definition, paused } = arguments;
    let mut body = definition.body(&id)?;
    body.paused = paused.then_some(true);
    let answer = host.client.post("/schedules", &body).await?;
    host.print(&answer, &format!("created {id}"))
}
