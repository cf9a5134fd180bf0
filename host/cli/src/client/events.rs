//! The events of one job, across breaks of the connection and restarts of the host.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::Result;
use reqwest::{Response, StatusCode};
use roughneck_jobs::id::JobId;
use roughneck_testkit::sse;

use super::{Client, Refused, answer::Silent};

/// How long a host that was there may be away: it stops, is replaced, and compiles its plugins.
const AWAY_LIMIT: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(500);

/// Follows a job from its first event to `end`.
pub(crate) struct Events<'a> {
    client: &'a Client,
    path: String,
    stream: Option<Response>,
    reader: sse::Reader,
    ready: VecDeque<sse::Event>,
    /// The last event that was seen; the next stream goes on after it.
    last: Option<String>,
    /// Since when the host is away, if it was there before.
    away_since: Option<Instant>,
    has_ended: bool,
}

impl<'a> Events<'a> {
    pub(super) fn new(client: &'a Client, id: JobId) -> Self {
        Self {
            client,
            path: format!("/jobs/{id}/events"),
            stream: None,
            reader: sse::Reader::default(),
            ready: VecDeque::new(),
            last: None,
            away_since: None,
            has_ended: false,
        }
    }

    /// The next event, or none after `end`.
    ///
    /// # Errors
    /// If the host refuses, was never there, or does not come back.
    pub(crate) async fn next(&mut self) -> Result<Option<sse::Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.has_ended = event.name == "end";
                self.last = event.id.clone().or(self.last.take());
                return Ok(Some(event));
            }
            if self.has_ended {
                return Ok(None);
            }
            match &mut self.stream {
                None => self.connect().await?,
                Some(stream) => match stream.chunk().await {
                    Ok(Some(chunk)) => {
                        self.away_since = None;
                        self.ready.extend(self.reader.push(&chunk));
                    }
                    // A host that stops closes its streams; one that is killed breaks them off.
                    Ok(None) | Err(_) => self.lose(),
                },
            }
        }
    }

    async fn connect(&mut self) -> Result<()> {
        if self.away_since.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
        match self.client.open(&self.path, self.last.as_deref()).await {
            // The end has been seen already.
            Ok(stream) if stream.status() == StatusCode::NO_CONTENT => self.has_ended = true,
            Ok(stream) => self.stream = Some(stream),
            Err(error) => match self.away_since {
                Some(since) if since.elapsed() < AWAY_LIMIT && may_pass(&error) => {}
                Some(_) | None => return Err(error),
            },
        }
        Ok(())
    }

    fn lose(&mut self) {
        self.stream = None;
        // Half an event of the old stream is sent again by the new one.
        self.reader = sse::Reader::default();
        self.away_since.get_or_insert_with(Instant::now);
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    error.is::<Silent>() || error.downcast_ref::<Refused>().is_some_and(|no| no.is_temporary)
}
