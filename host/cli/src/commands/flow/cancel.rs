//! `roughneck flow cancel`: cancels what is not over of a flow.

use anyhow::Result;
use roughneck_jobs::id::FlowId;

use super::Host;
use crate::client::Flow;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The flow's id
    id: FlowId,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let id = arguments.id;
    let answer = host.client.delete(&format!("/flows/{id}")).await?;
    let flow: Flow = answer.parse()?;
    host.print(&answer, &format!("cancelled {id}; {}", flow.progress()))
}
