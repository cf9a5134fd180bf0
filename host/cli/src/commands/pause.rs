//! Pausing and resuming a class or a kind: the same words for both.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::host::Host;
use crate::client::{At, path_of};

/// Arguments of `roughneck class pause` and `roughneck kind pause`.
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    /// Its name
    name: String,
    /// For how long, such as 10m; without it, until it is resumed
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Why, for whoever looks at it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Arguments of `roughneck class resume` and `roughneck kind resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// Its name
    name: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    duration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Deserialize)]
struct Resumed {
    resumed: bool,
}

/// A pause as a list tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Paused {
    until: Option<At>,
    reason: String,
}

impl Paused {
    /// One cell of a table: until when, and why.
    pub(super) fn cell(paused: Option<&Self>) -> String {
        match paused {
            None => "-".to_owned(),
            Some(Self { until: None, reason }) => format!("until resumed: {reason}"),
            Some(Self { until: Some(until), reason }) => format!("until {}: {reason}", until.0),
        }
    }
}

/// Pauses what `arguments` name in `collection`.
pub(super) async fn pause(host: &Host, collection: &str, arguments: &Pause) -> Result<()> {
    let path = format!("{}/pause", path_of(collection, &arguments.name));
    let body =
        Body { duration: arguments.duration.as_deref(), reason: arguments.reason.as_deref() };
    let answer = host.client.post(&path, &body).await?;
    host.print(&answer, &format!("paused {}", arguments.name))
}

/// Resumes what `arguments` name in `collection`.
pub(super) async fn resume(host: &Host, collection: &str, arguments: &Resume) -> Result<()> {
    let path = format!("{}/resume", path_of(collection, &arguments.name));
    let answer = host.client.post(&path, &serde_json::json!({})).await?;
    let Resumed { resumed } = answer.parse()?;
    let name = &arguments.name;
    let line = if resumed { format!("resumed {name}") } else { format!("{name} was not paused") };
    host.print(&answer, &line)
}
