//! `roughneck schedule show`: everything about one schedule, on one page.

use anyhow::Result;
use roughneck_jobs::clock::Clock as _;

use super::{Host, page::page};
use crate::{client::schedule_path, system::System, terminal};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The schedule's id
    id: String,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let answer = host.client.get(&schedule_path(&arguments.id)).await?;
    if host.json {
        return host.print_json(&answer);
    }
    terminal::print(&page(&answer.parse()?, System.now()))
}
