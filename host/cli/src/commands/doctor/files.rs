//! How many files a host may have open, and so how many clients it serves.

use serde::Deserialize;

use super::finding::Finding;
use crate::{
    client::Client,
    config::Config,
    open_files::{self, REMEDY},
};

/// Asks the host, if it runs: whoever started it may have given it another limit than this shell has.
pub(super) async fn look(config: &Config, host: Option<&Client>) -> Finding {
    let wanted = match config.server.connections_max() {
        Ok(wanted) => wanted,
        Err(error) => return Finding::error("files", format!("{error:#}")),
    };
    let Some(host) = host else { return judge(open_files::would_serve(wanted), wanted) };
    match host.get("/healthz").await.and_then(|answer| answer.parse::<Seen>()) {
        Ok(Seen { connections: Connections { limit } }) => judge(limit, wanted),
        Err(error) => Finding::error("files", format!("{error:#}")),
    }
}

fn judge(served: u32, wanted: u32) -> Finding {
    if served < wanted {
        let found = format!("there are enough for {served} clients at once, and not for {wanted}");
        return Finding::warn("files", found, REMEDY);
    }
    Finding::ok("files", format!("there are enough for {wanted} clients at once"))
}

/// As `GET /healthz` tells it.
#[derive(Deserialize)]
struct Seen {
    connections: Connections,
}

#[derive(Deserialize)]
struct Connections {
    limit: u32,
}
