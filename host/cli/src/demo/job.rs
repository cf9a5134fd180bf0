//! The job of the demo: submitted, followed and read as any client would.

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use roughneck_testkit::sse;
use serde_json::{Value, json};

use super::{client, screen::Screen};

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
    let events =
        client()?.get(format!("{url}/jobs/{id}/events")).send().await?.error_for_status()?;
    let mut stream = events.bytes_stream();
    let mut reader = sse::Reader::default();
    let mut live = screen.live();
    while let Some(chunk) = stream.next().await {
        for event in reader.push(&chunk.context("the event stream broke off")?) {
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            match event.name.as_str() {
                "state" => live.state(data["state"].as_str().unwrap_or_default()),
                "progress" => live.progress(
                    data["percent"].as_u64().unwrap_or(0),
                    data["note"].as_str().unwrap_or_default(),
                ),
                "token" => live.token(data["text"].as_str().unwrap_or_default()),
                "end" => {
                    live.end();
                    let job = client()?.get(format!("{url}/jobs/{id}")).send().await?;
                    return Ok(job.error_for_status()?.json().await?);
                }
                // A newer host may tell more than this client knows.
                _ => {}
            }
        }
    }
    bail!("the event stream ended before the job did")
}
