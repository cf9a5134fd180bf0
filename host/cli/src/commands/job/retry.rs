//! `roughneck job retry`: runs a job again that has failed or was cancelled.

use anyhow::Result;
use roughneck_jobs::id::JobId;

use super::Host;
use crate::client::Job;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The job's id
    id: JobId,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let id = arguments.id;
    let answer = host.client.post(&format!("/jobs/{id}/retry"), &serde_json::json!({})).await?;
    let job: Job = answer.parse()?;
    let line = match job.state.as_str() {
        "blocked" => format!("{id} waits again for what it needs"),
        _ => format!("queued {id} again"),
    };
    host.print(&answer, &line)
}
