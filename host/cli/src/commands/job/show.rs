//! `roughneck job show`: everything about one job, on one page.

use anyhow::Result;
use roughneck_jobs::{clock::Clock as _, id::JobId};

use super::{Host, page::page};
use crate::{
    system::System,
    terminal::{self, stdout_size},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The job's id
    id: JobId,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let answer = host.client.job(arguments.id).await?;
    if host.json {
        return host.print_json(&answer);
    }
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&page(&answer.parse()?, System.now(), columns))
}
