//! `roughneck dead retry`: runs dead letters again.

use anyhow::Result;
use serde::Serialize;

use super::{Host, Share, Which, in_batches};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    limit: u64,
    /// One that has failed again since the first request is not retried a second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_before: Option<String>,
}

pub(super) async fn run(host: &Host, share: &Share) -> Result<()> {
    let Share { which: Which { kind, code }, limit } = share;
    let (kind, code) = (kind.as_deref(), code.as_deref());
    let send = async |limit, failed_before| {
        host.client.post("/dead/retry", &Body { kind, code, limit, failed_before }).await
    };
    in_batches(host, *limit, "retried", send).await
}
