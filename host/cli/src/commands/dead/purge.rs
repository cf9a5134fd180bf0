//! `roughneck dead purge`: deletes dead letters.

use anyhow::{Result, ensure};

use super::{Host, Share, Which, in_batches};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    share: Share,
    /// Delete all dead letters, if neither a kind nor a code is named
    #[arg(long, conflicts_with_all = ["kind", "code"])]
    all: bool,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let Share { which: Which { kind, code }, limit } = &arguments.share;
    ensure!(
        arguments.all || kind.is_some() || code.is_some(),
        "this would delete every dead letter; name a --kind or a --code, or say --all"
    );
    let send = async |limit: u64, _| {
        let limit = Some(limit.to_string());
        let query = [("kind", kind.clone()), ("code", code.clone()), ("limit", limit)];
        host.client.delete_list("/dead", &query).await
    };
    in_batches(host, *limit, "deleted", send).await
}
