//! Work that tells how far it is, a line at a time.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use crate::ollama::clock::Stopwatch;
use crate::ollama::log::Recording;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, ByteStream, NDJSON, Refusal, error_json, go_json};

/// One line.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Line {
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<u64>,
}

/// A line, and what it takes to get there.
type Step = (Duration, Line);

/// Lines up to an end, good or bad. What is to be done at a good end is done before its line is out.
pub(super) struct Progress {
    steps: Vec<Step>,
    end: Result<Box<dyn FnOnce() + Send>, String>,
}

/// How many lines tell of the bytes of one blob.
const PARTS: u32 = 4;

impl Progress {
    pub(super) fn to(end: impl FnOnce() + Send + 'static) -> Self {
        Self { steps: Vec::new(), end: Ok(Box::new(end)) }
    }

    pub(super) fn to_failure(message: &str) -> Self {
        Self { steps: Vec::new(), end: Err(message.to_owned()) }
    }

    pub(super) fn line(mut self, status: &str) -> Self {
        let line = Line { status: status.to_owned(), ..Line::default() };
        self.steps.push((Duration::ZERO, line));
        self
    }

    /// The bytes of a blob going over a line that takes `time` for all of them.
    pub(super) fn transfer(mut self, verb: &str, blob: &str, total: u64, time: Duration) -> Self {
        let short: String = blob.chars().take(12).collect();
        for part in 0..=PARTS {
            let line = Line {
                status: format!("{verb} {short}"),
                digest: Some(format!("sha256:{blob}")),
                total: Some(total),
                // Nothing is left out of the object, as zero is upstream.
                completed: Some(total / u64::from(PARTS) * u64::from(part))
                    .filter(|done| *done > 0),
            };
            let time = if part == 0 { Duration::ZERO } else { time / PARTS };
            self.steps.push((time, line));
        }
        self
    }

    /// Works as the lines are read, or to the end at once.
    pub(super) async fn answer(
        self,
        server: &Server,
        recording: &Recording,
        streamed: bool,
    ) -> Result<Answer, Refusal> {
        let mut watch = server.stopwatch();
        watch.begin_phase();
        if streamed {
            let body = self.stream(watch, recording.clone());
            return Ok(Answer::Stream { content_type: NDJSON, body });
        }
        for (time, _) in self.steps {
            watch.spend(time).await;
        }
        match self.end {
            Ok(end) => {
                end();
                Ok(Answer::json(&Line { status: "success".to_owned(), ..Line::default() }))
            }
            Err(message) => Err(Refusal::new(500, message)),
        }
    }

    fn stream(self, watch: Stopwatch, recording: Recording) -> ByteStream {
        let steps =
            stream::unfold((self.steps.into_iter(), watch), async |(mut steps, mut watch)| {
                let (time, line) = steps.next()?;
                watch.spend(time).await;
                Some((go_json(&line), (steps, watch)))
            });
        let end = self.end;
        let end = stream::once(async move {
            recording.finish();
            match end {
                Ok(end) => {
                    end();
                    go_json(&Line { status: "success".to_owned(), ..Line::default() })
                }
                Err(message) => error_json(&message),
            }
        });
        Box::pin(steps.chain(end).then(|mut line| {
            line.push(b'\n');
            ready(Ok(Bytes::from(line)))
        }))
    }
}
