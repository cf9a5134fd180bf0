//! `roughneck flow show`: one flow, as a tree.

use anyhow::Result;
use roughneck_jobs::{clock::Clock as _, id::FlowId};

use super::{Host, page::page};
use crate::{
    client::Answer,
    system::System,
    terminal::{self, Size, stdout_size},
    watch::watch,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The flow's id
    id: FlowId,
    /// Redraw it every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let path = format!("/flows/{}", arguments.id);
    let read = async || host.client.get(&path).await;
    if arguments.watch {
        let draw = |answer: &Answer, size: Size| {
            Ok(page(&answer.parse()?, System.now(), Some(size.columns)))
        };
        return watch(read, draw).await;
    }
    let answer = read().await?;
    if host.json {
        return host.print_json(&answer);
    }
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&page(&answer.parse()?, System.now(), columns))
}
