//! What the demo shows. On a terminal the running job is redrawn in place; elsewhere it is printed
//! line by line.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
};

use anyhow::{Context, Result};
use serde_json::Value;

const LABEL_COLUMNS: usize = 10;
const BAR_COLUMNS: u64 = 24;
const TAIL_COLUMNS: usize = 60;

pub(super) struct Screen {
    is_terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        println!("\nroughneck demo: one job from end to end\n");
        Self { is_terminal: std::io::stdout().is_terminal() }
    }

    /// One step of the story; further lines are indented below the first.
    pub(super) fn step(&self, label: &str, text: &str) {
        let indent = format!("\n{:width$}", "", width = LABEL_COLUMNS + 2);
        println!("  {label:LABEL_COLUMNS$}{}", text.replace('\n', &indent));
    }

    /// The part that shows a running job.
    pub(super) fn live(&self) -> Live {
        Live {
            redraws: self.is_terminal,
            states: Vec::new(),
            percent: 0,
            note: String::new(),
            text: String::new(),
            printed: 0,
        }
    }

    pub(super) fn result(&self, job: &Value, is_simulated: bool) {
        let output = &job["output"];
        let who = if is_simulated { " (simulated words)" } else { "" };
        let mut text =
            format!("{}{who}\n{}", words(&output["title"]), wrap(words(&output["summary"])));
        for point in output["key_points"].as_array().into_iter().flatten() {
            let _ = write!(text, "\n- {}", wrap(words(point)));
        }
        self.step("result", &text);
        self.step("cost", &cost(job));
    }

    pub(super) fn webhook(&self, body: &[u8], headers: &reqwest::header::HeaderMap) -> Result<()> {
        let event: Value = serde_json::from_slice(body).context("the webhook is no JSON")?;
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("?");
        let kind = words(&event["type"]);
        self.step(
            "webhook",
            &format!("{kind} was delivered, its signature is good (webhook-id {id})"),
        );
        Ok(())
    }

    pub(super) fn go_on(&self, url: &str, id: &str, keep: bool) {
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
        self.step("go on", &text);
    }
}

/// Shows one running job.
pub(super) struct Live {
    redraws: bool,
    states: Vec<String>,
    percent: u64,
    note: String,
    text: String,
    /// On a terminal the lines on screen; elsewhere the characters of the text already printed.
    printed: usize,
}

impl Live {
    pub(super) fn state(&mut self, state: &str) {
        self.states.push(state.to_owned());
        if self.redraws { self.redraw() } else { self.line("state", state) }
    }

    pub(super) fn progress(&mut self, percent: u64, note: &str) {
        let percent = percent.min(100);
        // Line by line, only every tenth is worth one.
        let is_news = percent / 10 != self.percent / 10 || note != self.note;
        self.percent = percent;
        note.clone_into(&mut self.note);
        if self.redraws {
            self.redraw();
        } else if is_news {
            self.line("progress", &self.bar());
        }
    }

    pub(super) fn token(&mut self, text: &str) {
        self.text.push_str(text);
        if self.redraws {
            self.redraw();
        } else if self.text.chars().count() >= self.printed + TAIL_COLUMNS {
            self.flush();
        }
    }

    pub(super) fn end(&mut self) {
        if !self.redraws && self.text.chars().count() > self.printed {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let tail: String = self.text.chars().skip(self.printed).collect();
        self.printed += tail.chars().count();
        self.line("tokens", &tail.replace('\n', " "));
    }

    fn line(&self, label: &str, text: &str) {
        println!("  {:LABEL_COLUMNS$}{label:9}{text}", "");
    }

    fn bar(&self) -> String {
        let full = self.percent * BAR_COLUMNS / 100;
        let bar: String = (0..BAR_COLUMNS).map(|n| if n < full { '█' } else { '░' }).collect();
        format!("{bar} {:3} %  {}", self.percent, self.note)
    }

    fn redraw(&mut self) {
        let tail: Vec<char> = self.text.replace('\n', " ").chars().collect();
        let tail: String = tail.iter().skip(tail.len().saturating_sub(TAIL_COLUMNS)).collect();
        if self.printed > 0 {
            print!("\x1b[{}A\x1b[J", self.printed);
        }
        self.line("state", &self.states.join(" → "));
        self.line("progress", &self.bar());
        self.line("tokens", &tail);
        self.printed = 3;
        // A screen that cannot be flushed shows the lines with the next ones.
        let _ = std::io::stdout().flush();
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
