//! What the server was asked, and how each request ended.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::{HeaderMap, Method, http::request::Parts};
use tokio::time::Instant;

use super::ring::Ring;
use crate::lock::locked;

/// One request, as far as it has come.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body, as sent.
    pub body: Bytes,
    /// When its body had arrived.
    pub started_at: Instant,
    /// When it was over, however it ended. None while it goes on.
    pub ended_at: Option<Instant>,
    /// The status that was answered; none until then.
    pub status: Option<u16>,
    /// Tokens that were generated for it, thinking included.
    pub tokens: usize,
    /// The client closed its connection before the answer was complete.
    pub client_left: bool,
}

/// The log, and the count of requests that are being worked on.
#[derive(Debug)]
pub(super) struct Log {
    entries: Mutex<Ring<Recorded>>,
    /// Set while the server itself cuts its connections, which no client is to blame for.
    stopping: AtomicBool,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

impl Log {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            entries: Mutex::new(Ring::new(entries_max)),
            stopping: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
        }
    }

    pub(super) fn snapshot(&self) -> Vec<Recorded> {
        locked(&self.entries).snapshot()
    }

    pub(super) fn in_flight_max(&self) -> usize {
        self.in_flight_max.load(Ordering::SeqCst)
    }

    pub(super) fn stopping(&self, stopping: bool) {
        self.stopping.store(stopping, Ordering::SeqCst);
    }

    pub(super) fn begin(self: &Arc<Self>, head: &Parts, body: Bytes) -> Recording {
        let number = locked(&self.entries).push(Recorded {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            headers: head.headers.clone(),
            body,
            started_at: Instant::now(),
            ended_at: None,
            status: None,
            tokens: 0,
            client_left: false,
        });
        Recording(Arc::new(Entry {
            log: Arc::clone(self),
            number,
            over: AtomicBool::new(false),
            counted: AtomicBool::new(false),
        }))
    }
}

/// A handle to one entry of the log, shared by all that work on the request. When the last of them is dropped although
/// nobody said that the request is over, its client has left: hyper drops whatever works for a closed connection.
#[derive(Debug, Clone)]
pub(super) struct Recording(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    log: Arc<Log>,
    number: usize,
    over: AtomicBool,
    counted: AtomicBool,
}

impl Recording {
    pub(super) fn status(&self, status: u16) {
        self.0.update(|entry| entry.status = Some(status));
    }

    pub(super) fn tokens(&self, count: usize) {
        self.0.update(|entry| entry.tokens += count);
    }

    /// Counts the request as generating, until it is over.
    pub(super) fn count_in_flight(&self) {
        if !self.0.counted.swap(true, Ordering::SeqCst) {
            let now = self.0.log.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.log.in_flight_max.fetch_max(now, Ordering::SeqCst);
        }
    }

    /// The request is over. Called before the last byte is handed out, so that a client that has read it finds the
    /// log complete and the count lowered.
    pub(super) fn finish(&self) {
        self.0.end(false);
    }
}

impl Entry {
    fn update(&self, change: impl FnOnce(&mut Recorded)) {
        if let Some(entry) = locked(&self.log.entries).get_mut(self.number) {
            change(entry);
        }
    }

    fn end(&self, client_left: bool) {
        if self.over.swap(true, Ordering::SeqCst) {
            return;
        }
        if self.counted.load(Ordering::SeqCst) {
            self.log.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        self.update(|entry| {
            entry.ended_at = Some(Instant::now());
            entry.client_left = client_left;
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(!self.log.stopping.load(Ordering::SeqCst));
    }
}
