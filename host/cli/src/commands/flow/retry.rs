//! `roughneck flow retry`: runs again what has failed or was cancelled of a flow.

use anyhow::Result;
use roughneck_jobs::id::FlowId;
use serde::Deserialize;

use super::Host;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The flow's id
    id: FlowId,
}

#[derive(Deserialize)]
struct Retried {
    retried: u32,
    held_back: u32,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let id = arguments.id;
    let answer = host.client.post(&format!("/flows/{id}/retry"), &serde_json::json!({})).await?;
    let retried: Retried = answer.parse()?;
    host.print(&answer, &sentence(&retried))
}

fn sentence(Retried { retried, held_back }: &Retried) -> String {
    let jobs = if *retried == 1 { "job runs" } else { "jobs run" };
    match held_back {
        0 => format!("{retried} {jobs} again"),
        held_back => format!("{retried} {jobs} again; {held_back} need jobs that were deleted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_come_back_is_told() {
        assert_eq!(sentence(&Retried { retried: 1, held_back: 0 }), "1 job runs again");
        let some = Retried { retried: 3, held_back: 2 };
        assert_eq!(sentence(&some), "3 jobs run again; 2 need jobs that were deleted");
    }
}
