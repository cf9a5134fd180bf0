//! `roughneck dead retry`: runs dead letters again.

use anyhow::Result;
use serde::Serialize;

use super::{Host, Which, in_batches};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    limit: u64,
}

pub(super) async fn run(host: &Host, which: &Which) -> Result<()> {
    let (kind, code) = (which.kind.as_deref(), which.code.as_deref());
    let send = async |limit| host.client.post("/dead/retry", &Body { kind, code, limit }).await;
    in_batches(host, which, "retried", send).await
}
