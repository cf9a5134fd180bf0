//! Calls of Ollama's surface: their answers come line by line, after any time in the queue.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Response;
use roughneck_jobs::{id::JobId, ports::gateway::KEPT, priority::Priority};
use serde::{Deserialize, Serialize};

use super::{CONNECT_LIMIT, answer};
use crate::terminal::clean;

/// Only a host that is gone leaves this unanswered. Silence is no sign of it: a model may think for minutes
/// about a long prompt.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sends calls to one host.
pub(crate) struct Caller {
    http: reqwest::Client,
    url: String,
}

/// A call on its way.
pub(crate) struct Call {
    url: String,
    response: Response,
    read: Vec<u8>,
    /// Its job.
    pub(crate) job: Option<JobId>,
    /// Whether the model is kept that it wants unloaded.
    pub(crate) is_kept: bool,
    /// Its place in the queue when its first sign of life came.
    pub(crate) position: Option<u64>,
}

/// A line of an answer: as it came, and as far as it is understood.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Piece {
    /// The line.
    #[serde(skip)]
    pub(crate) text: String,
    pub(crate) message: Message,
    pub(crate) done: bool,
    pub(crate) prompt_eval_count: u64,
    pub(crate) eval_count: u64,
    error: Option<String>,
}

/// What is said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Message {
    pub(crate) content: String,
    pub(crate) thinking: String,
}

impl Caller {
    /// A caller of the host at `url`, which [`super::host_url`] has read.
    pub(crate) fn new(url: &str) -> Result<Self> {
        crate::commands::serve::install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .tcp_keepalive(KEEPALIVE)
            .build()?;
        Ok(Self { http, url: url.to_owned() })
    }

    /// Sends a call and waits for its first line or its first sign of life.
    ///
    /// # Errors
    /// What the host refused, or that none answers.
    pub(crate) async fn call(
        &self,
        path: &str,
        body: &impl Serialize,
        priority: Option<Priority>,
    ) -> Result<Call> {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        if let Some(priority) = priority {
            request = request.header("x-roughneck-priority", priority.to_string());
        }
        let response = answer::send(&self.url, request).await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        Ok(Call {
            job: header("x-roughneck-job-id").and_then(|id| id.parse().ok()),
            is_kept: header(KEPT).is_some(),
            position: header("x-queue-position").and_then(|place| place.parse().ok()),
            url: self.url.clone(),
            read: Vec::new(),
            response,
        })
    }
}

impl Call {
    /// The next line, or none at the end.
    ///
    /// # Errors
    /// Why the answer broke off, in the host's words if it had some.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return piece(&line).map(Some);
            }
            match self.response.chunk().await.map_err(|error| answer::silent(&self.url, &error))? {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                // An answer in one piece has no line feed at its end.
                None if self.read.is_empty() => return Ok(None),
                None => return piece(&std::mem::take(&mut self.read)).map(Some),
            }
        }
    }

    /// Reads to the last line.
    ///
    /// # Errors
    /// As [`Call::next`].
    pub(crate) async fn last(mut self) -> Result<Piece> {
        let mut last = None;
        while let Some(piece) = self.next().await? {
            last = Some(piece);
        }
        last.context("the answer is empty; is it a Roughneck host?")
    }
}

fn piece(line: &[u8]) -> Result<Piece> {
    let piece: Piece = serde_json::from_slice(line)
        .context("the host's answer cannot be read; is it of another version?")?;
    if let Some(error) = &piece.error {
        bail!("the answer broke off: {}", clean(error));
    }
    Ok(Piece { text: String::from_utf8_lossy(line).trim_end().to_owned(), ..piece })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_as_it_came() {
        let line = br#"{"message":{"role":"assistant","content":"hi"},"done":false, "new":1}"#;
        let read = piece(line).unwrap();
        assert_eq!((read.message.content.as_str(), read.done), ("hi", false));
        assert_eq!(read.text.as_bytes(), line);
    }

    #[test]
    fn an_error_in_the_middle_of_an_answer_is_one() {
        let error = piece(b"{\"error\":\"it\\ndied\"}\n").unwrap_err().to_string();
        assert_eq!(error, "the answer broke off: it died");
    }
}
