//! `roughneck job cancel`: stops a job, also inside a call to a model.

use anyhow::Result;
use roughneck_jobs::id::JobId;

use super::Host;
use crate::terminal;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The job's id
    id: JobId,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let answer = host.client.delete(&format!("/jobs/{}", arguments.id)).await?;
    if host.json {
        return host.print_json(&answer);
    }
    terminal::print(&format!("cancelled {}\n", arguments.id))
}
