//! What the routes of one simulated server share, and the way of a request through it.

use std::future::{pending, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::call::Call;
use super::clock::Stopwatch;
use super::config::{Config, Model};
use super::faults::Faults;
use super::generation::{Events, Job, events};
use super::log::{Log, Recording};
use super::names::{Source, normalised, objection, source};
use super::reply::Script;
use super::runner::Runner;
use super::shelf::Shelf;
use super::wire::{Answer, ByteStream, Refusal};
use super::{admin, router};
use crate::listener::{Body, Handler};

/// Between two pieces of a stream that drips.
const DRIP_EVERY: Duration = Duration::from_millis(20);

/// What is wanted of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Inference,
    Details,
}

impl Doing {
    /// Upstream's words where its cloud is switched off.
    fn words(self) -> &'static str {
        match self {
            Self::Inference => "ollama cloud is disabled: remote model is unavailable",
            Self::Details => "ollama cloud is disabled: remote model details are unavailable",
        }
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) shelf: Arc<Shelf>,
    pub(super) runner: Arc<Runner>,
    pub(super) faults: Faults,
    pub(super) script: Script,
    pub(super) log: Arc<Log>,
    completions: AtomicUsize,
}

impl Server {
    pub(super) fn new(config: Config) -> Self {
        let script = Script::default();
        script.append(config.replies.iter().cloned());
        Self {
            shelf: Arc::new(Shelf::new(&config.models)),
            runner: Arc::new(Runner::new(config.log_entries_max)),
            faults: Faults::default(),
            script,
            log: Arc::new(Log::new(config.log_entries_max)),
            completions: AtomicUsize::new(0),
            config,
        }
    }

    /// The model that `name` means, here or in the cloud, to be asked something. `missing` is the refusal where there is
    /// none, `doing` what cannot be had while the cloud is switched off.
    pub(super) fn meant(
        &self,
        name: &str,
        doing: Doing,
        missing: Refusal,
    ) -> Result<Arc<Model>, Refusal> {
        if let Some(words) = objection(name) {
            return Err(Refusal::new(400, words));
        }
        let cloud = || self.config.cloud.as_ref().ok_or_else(|| Refusal::new(403, doing.words()));
        match source(name) {
            Some((Source::Cloud, base)) => {
                let found =
                    cloud()?.iter().find(|model| normalised(&model.name) == normalised(&base));
                let unknown = || Refusal::new(404, format!("model '{base}' not found"));
                found.map(|model| Arc::new(model.in_the_cloud())).ok_or_else(unknown)
            }
            said @ (Some((Source::Here, _)) | None) => {
                let model = self.shelf.find(name);
                let is_hidden = |model: &Arc<Model>| said.is_some() && model.remote.is_some();
                let model = model.filter(|model| !is_hidden(model)).ok_or(missing)?;
                if model.remote.is_some() {
                    cloud()?;
                }
                Ok(model)
            }
        }
    }

    pub(super) fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(self.config.pace, self.faults.clone())
    }

    pub(super) fn events(&self, call: Call, watch: Stopwatch, recording: &Recording) -> Events {
        events(Job { call, runner: Arc::clone(&self.runner), watch, recording: recording.clone() })
    }

    /// Upstream's ids are random below 999, and collide. These only repeat.
    pub(super) fn next_id(&self, prefix: &str) -> String {
        let number = self.completions.fetch_add(1, Ordering::Relaxed) % 999;
        format!("{prefix}{number}")
    }

    fn response(&self, answer: Answer, recording: &Recording) -> io::Result<Response<Body>> {
        let (status, content_type, body) = match answer {
            Answer::Whole { status, content_type, body } => {
                recording.finish();
                let body = Full::<Bytes>::from(body).map_err(|never| match never {});
                (status, content_type, body.boxed_unsync())
            }
            Answer::Stream { content_type, body } => {
                let body = match self.faults.drips() {
                    Some(piece) => dripping(piece),
                    None if self.faults.gathers() => in_one_piece(body),
                    None => body,
                };
                let frames = body.map(|bytes| bytes.map(Frame::data));
                (200, content_type, StreamBody::new(frames).boxed_unsync())
            }
            Answer::HangUp => return Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
        };
        recording.status(status);
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if !content_type.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Ok(response)
    }
}

impl Handler for Server {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        if admin::is_upload(&head) && router::is_welcome(&head.headers) {
            let recording = self.log.begin(&head, Bytes::new());
            let answer = admin::upload(&self, head.uri.path(), body).await?;
            return self.response(answer, &recording);
        }
        // Read to its end first: only then can hyper notice that the client leaves.
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let recording = self.log.begin(&head, body.clone());
        if self.faults.hangs() {
            return pending().await;
        }
        let answer = router::answer(&self, &head, &body, &recording).await;
        self.response(answer, &recording)
    }
}

fn dripping(piece: &'static str) -> ByteStream {
    Box::pin(stream::unfold((), move |()| async move {
        tokio::time::sleep(DRIP_EVERY).await;
        Some((Ok(Bytes::from_static(piece.as_bytes())), ()))
    }))
}

fn in_one_piece(pieces: ByteStream) -> ByteStream {
    let all = pieces.try_fold(Vec::new(), |mut all, piece| {
        all.extend_from_slice(&piece);
        ready(Ok(all))
    });
    Box::pin(stream::once(all.map_ok(Bytes::from)))
}
