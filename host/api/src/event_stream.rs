//! The events of one job as one reader gets them.
//!
//! The stream is pulled: it reads the store and the run only when the client has taken everything
//! before, so a slow client costs one answer's worth of memory and simply gets larger pieces.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::response::sse::Event;
use futures_util::{Stream, stream};
use roughneck_jobs::{
    causes::Causes,
    event::{JobEvent, Live},
    id::JobId,
    ports::{control::Watch, store::StoreError},
    state::State,
};
use serde::Serialize;
use tokio::sync::watch::Receiver;

use crate::{
    App,
    cursor::{Cursor, Place},
    metrics::Open,
    view::{At, JobView, ProgressView},
};

/// A page of the store's events is full at this length, so there may be more.
const PAGE: usize = 200;

/// Where a reader is, and what it will be sent next.
pub(crate) struct EventStream {
    app: Arc<App>,
    id: JobId,
    watch: Box<dyn Watch>,
    closing: Receiver<bool>,
    cursor: Cursor,
    /// The last report of progress that was sent: its run and number.
    reported: Option<(i64, u64)>,
    ready: VecDeque<Event>,
    /// The job had ended before the first read, so that read sees its end.
    had_ended: bool,
    next: Next,
    _open: Open,
}

/// What the stream does once everything that is ready has been taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Wait,
    Stop,
}

#[derive(Serialize)]
struct StateEvent<'a> {
    seq: i64,
    at: At,
    state: State,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// `offset` is the byte of the run's text at which `text` begins. A reader that finds another run, or
/// an offset that is not the length of what it has, starts over with this piece.
#[derive(Serialize)]
struct TokenEvent<'a> {
    text: &'a str,
    attempt: u32,
    run: i64,
    offset: u64,
}

impl EventStream {
    /// `watch` must be older than the look at the job that told `had_ended`.
    pub(crate) fn new(
        app: Arc<App>,
        id: JobId,
        watch: Box<dyn Watch>,
        cursor: Cursor,
        had_ended: bool,
    ) -> Self {
        Self {
            closing: app.closing(),
            _open: Open::counted(&app.metrics.streams),
            app,
            id,
            watch,
            cursor,
            reported: None,
            ready: VecDeque::new(),
            had_ended,
            next: Next::Read,
        }
    }

    /// The events, each made when it is asked for.
    pub(crate) fn into_events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.next {
                Next::Read => {}
                Next::Wait => {
                    tokio::select! {
                        biased;
                        // The client comes back with its last id, to this host or the next one.
                        _ = self.closing.wait_for(|closing| *closing) => return None,
                        () = self.watch.changed() => {}
                    }
                }
                Next::Stop => return None,
            }
            if let Err(error) = self.read().await {
                let error = Causes(&error);
                tracing::warn!(job = %self.id, %error, "the event stream of job {} ends early", self.id);
                return None;
            }
        }
    }

    /// Takes everything that is new. A change during the read wakes the wait after it.
    async fn read(&mut self) -> Result<(), StoreError> {
        let mut events = self.app.ports.store.events(self.id, self.cursor.seq).await?;
        if events.len() >= PAGE {
            self.next = Next::Read;
            events.iter().for_each(|event| self.push_state(event));
            return Ok(());
        }
        let has_ended = events.last().map_or(self.had_ended, |last| last.state.is_terminal());
        let live = self.app.ports.control.live(self.id);
        // A slow reader may come to its end after the job was deleted with its events.
        if events.is_empty() && live.is_none() && !has_ended {
            let job = self.app.ports.store.job(self.id).await?;
            self.next = if job.is_some() { Next::Wait } else { Next::Stop };
            return Ok(());
        }
        // The text of the last run belongs before its end.
        let last = if has_ended { events.pop() } else { None };
        events.iter().for_each(|event| self.push_state(event));
        if let Some(live) = &live {
            self.push_live(live);
        }
        if let Some(last) = &last {
            self.push_state(last);
        }
        // Somebody retried it after the look that told so.
        self.had_ended = has_ended;
        self.next = Next::Wait;
        if has_ended {
            self.next = Next::Stop;
            self.push_end().await?;
        }
        Ok(())
    }

    fn push_state(&mut self, event: &JobEvent) {
        self.cursor.seq = event.seq;
        let JobEvent { seq, at, state, attempt, reason } = event;
        self.push(
            "state",
            &StateEvent {
                seq: *seq,
                at: At(*at),
                state: *state,
                attempt: *attempt,
                reason: reason.as_deref(),
            },
        );
    }

    fn push_live(&mut self, live: &Live) {
        let report = (live.run, live.reports);
        if live.reports > 0 && self.reported != Some(report) {
            self.reported = Some(report);
            self.push("progress", &ProgressView::from(live));
        }
        if let Some((offset, text)) = self.cursor.unseen(live) {
            self.cursor.sent(live.run, offset, text);
            self.push("token", &TokenEvent { text, attempt: live.attempt, run: live.run, offset });
        }
    }

    async fn push_end(&mut self) -> Result<(), StoreError> {
        // A job that was cleared away meanwhile has no last view; the stream still ends.
        if let Some(job) = self.app.ports.store.job(self.id).await? {
            self.cursor.place = Place::End;
            self.push("end", &JobView::with_data(&job));
        }
        Ok(())
    }

    fn push(&mut self, name: &str, data: &impl Serialize) {
        let event = Event::default().event(name).id(self.cursor.to_string());
        match event.json_data(data) {
            Ok(event) => self.ready.push_back(event),
            Err(error) => {
                tracing::error!(job = %self.id, %error, "an event of job {} could not be written", self.id);
            }
        }
    }
}
