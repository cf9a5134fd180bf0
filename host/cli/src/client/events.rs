//! The events of one job, across breaks of the connection and restarts of the host.

use std::collections::VecDeque;

use anyhow::Result;
use reqwest::{Response, StatusCode};
use roughneck_jobs::id::JobId;
use roughneck_testkit::sse;

use super::{Client, Patience};

/// Follows a job from its first event to `end`.
pub(crate) struct Events<'a> {
    client: &'a Client,
    path: String,
    stream: Option<Response>,
    reader: sse::Reader,
    ready: VecDeque<sse::Event>,
    /// The last event that was seen; the next stream goes on after it.
    last: Option<String>,
    patience: Patience,
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
            patience: Patience::default(),
            has_ended: false,
        }
    }

    /// The same, telling on standard error when the host is away.
    pub(crate) fn telling(self, id: JobId) -> Self {
        let patience = Patience::telling(format!("job {id}"), format!("roughneck job wait {id}"));
        Self { patience, ..self }
    }

    /// Whether that was told since this was asked.
    pub(crate) fn has_told(&mut self) -> bool {
        self.patience.has_told()
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
                        self.patience.found();
                        self.ready.extend(self.reader.push(&chunk));
                    }
                    // A host that stops closes its streams; one that is killed breaks them off.
                    Ok(None) | Err(_) => self.lose(),
                },
            }
        }
    }

    async fn connect(&mut self) -> Result<()> {
        self.patience.pause().await;
        match self.client.open(&self.path, self.last.as_deref()).await {
            // The end has been seen already.
            Ok(stream) if stream.status() == StatusCode::NO_CONTENT => self.has_ended = true,
            Ok(stream) => self.stream = Some(stream),
            Err(error) => self.patience.bear(error)?,
        }
        Ok(())
    }

    fn lose(&mut self) {
        self.stream = None;
        // Half an event of the old stream is sent again by the new one.
        self.reader = sse::Reader::default();
        self.patience.lost();
    }
}
