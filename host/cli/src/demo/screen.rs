//! What the demo shows, step by step.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    live::Live,
    terminal::{print, stdout_size},
};

const LABEL_COLUMNS: usize = 10;

pub(super) struct Screen;

impl Screen {
    pub(super) fn new() -> Result<Self> {
        print("\nroughneck demo: one job from end to end\n\n")?;
        Ok(Self)
    }

    /// One step of the story; further lines are indented below the first.
    pub(super) fn step(&self, label: &str, text: &str) -> Result<()> {
        let indent = format!("\n{:width$}", "", width = LABEL_COLUMNS + 2);
        print(&format!("  {label:LABEL_COLUMNS$}{}\n", text.replace('\n', &indent)))
    }

    /// The part that shows a running job, below the steps' texts.
    pub(super) fn live(&self) -> Live {
        Live::new(std::io::stdout(), stdout_size(), LABEL_COLUMNS + 2)
    }

    pub(super) fn result(&self, job: &Value, is_simulated: bool) -> Result<()> {
        let output = &job["output"];
        let who = if is_simulated { " (simulated words)" } else { "" };
        let mut text =
            format!("{}{who}\n{}", words(&output["title"]), wrap(words(&output["summary"])));
        for point in output["key_points"].as_array().into_iter().flatten() {
            let _ = write!(text, "\n- {}", wrap(words(point)));
        }
        self.step("result", &text)?;
        self.step("cost", &cost(job))
    }

    pub(super) fn webhook(&self, body: &[u8], headers: &reqwest::header::HeaderMap) -> Result<()> {
        let event: Value = serde_json::from_slice(body).context("the webhook is no JSON")?;
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("?");
        let kind = words(&event["type"]);
        self.step(
            "webhook",
            &format!("{kind} was delivered, its signature is good (webhook-id {id})"),
        )
    }

    pub(super) fn go_on(&self, url: &str, id: &str, keep: bool) -> Result<()> {
        let mut text = format!(
            "curl {url}/jobs/{id}\n\
             curl -N {url}/jobs/{id}/events\n\
             curl {url}/plugins\n\
             curl {url}/metrics\n\
             curl {url}/jobs -d '{{\"kind\":\"classify-error\",\"input\":{{\"trace\":\"Error: connect ECONNREFUSED 10.0.0.5:5432\"}}}}'"
        );
        text.push_str(if keep {
            "\nthe host stays up; Ctrl-C stops it"
        } else {
            "\nto try these, run `cargo xtask demo --keep`: the host stays up then"
        });
        self.step("go on", &text)
    }
}

fn cost(job: &Value) -> String {
    let usage = &job["usage"];
    let number = |key: &str| usage[key].as_f64().unwrap_or(0.0);
    format!(
        "{} tokens in, {} out, {:.1} tokens/s\nwaited {:.0} ms in the queue, loaded the model in {:.1} s, first token after {:.2} s",
        number("input_tokens"),
        number("output_tokens"),
        number("tokens_per_second"),
        job["queue_wait_ms"].as_f64().unwrap_or(0.0),
        number("load_ms") / 1000.0,
        number("first_token_ms") / 1000.0,
    )
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Breaks a text into lines of at most 90 columns, at spaces.
fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full =
            lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= 90);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
