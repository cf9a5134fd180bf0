//! The job of the demo: submitted, followed and read as any client would.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{client, screen::Screen};
use crate::client::Client;

pub(super) struct Submitted {
    pub(super) id: String,
    characters: usize,
}

impl Submitted {
    pub(super) fn story(&self) -> String {
        format!("POST /jobs: summarize a text of {} characters -> 202 {}", self.characters, self.id)
    }
}

/// Submits the text.
pub(super) async fn submit(url: &str, text: &str, callback: &str) -> Result<Submitted> {
    let body = json!({
        "kind": "summarize",
        "input": { "text": text, "max_points": 3 },
        "priority": "high",
        "callback": { "url": callback },
    });
    let response = client()?.post(format!("{url}/jobs")).json(&body).send().await?;
    let status = response.status();
    let answer: Value = response.json().await?;
    if status != reqwest::StatusCode::ACCEPTED {
        bail!("the host refused the job with {status}: {}", answer["detail"]);
    }
    let id = answer["id"].as_str().context("the host named no id")?.to_owned();
    Ok(Submitted { id, characters: text.chars().count() })
}

/// Shows the job's events until it ends, and returns its final view.
pub(super) async fn follow(url: &str, id: &str, screen: &Screen) -> Result<Value> {
    let (client, id) = (Client::new(url)?, id.parse()?);
    let mut events = client.events(id);
    let mut live = screen.live();
    while let Some(event) = events.next().await? {
        live.show(&event);
    }
    client.job(id).await?.parse()
}
