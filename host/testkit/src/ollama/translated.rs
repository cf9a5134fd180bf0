//! Requests of a foreign API, which are translated into Ollama's own and answered in the foreign API's words.

use std::future::ready;

use futures_util::stream;

use super::call::{Asked, Route, decide};
use super::clock::Stopwatch;
use super::dialect::{Dialect, respond};
use super::generation::{Done, Event, Events, Metrics};
use super::log::Recording;
use super::native::scripted;
use super::request::CallRequest;
use super::server::Server;
use super::wire::{Answer, Refusal};

/// A request from its entry on.
pub(super) struct Entered<'a> {
    server: &'a Server,
    recording: &'a Recording,
    watch: Stopwatch,
}

impl<'a> Entered<'a> {
    pub(super) fn now(server: &'a Server, recording: &'a Recording) -> Self {
        Self { server, recording, watch: server.stopwatch() }
    }

    /// Answers the request, which has become `native`. Absent, `stream` is false here.
    pub(super) async fn answer<D: Dialect>(
        mut self,
        native: CallRequest,
        route: Route,
        dialect: D,
    ) -> Result<Answer, Refusal> {
        let streamed = native.stream.unwrap_or(false);
        let events = match decide(self.server, &native, route)? {
            Asked::Unload(model) => {
                self.server.runner.unload(&model);
                self.nothing_said("unload")
            }
            Asked::Load(wanted) => {
                self.recording.count_in_flight();
                drop(self.server.runner.acquire(&wanted, &mut self.watch).await);
                self.nothing_said("load")
            }
            Asked::Answer(mut call) => {
                self.recording.count_in_flight();
                let dictated = self.server.script.next().and_then(|reply| call.follow(reply));
                if let Some((status, body)) = dictated {
                    return Ok(scripted(status, body));
                }
                self.server.events(call, self.watch, self.recording)
            }
        };
        respond(events, dialect, streamed).await
    }

    /// The only event of a request that was no prompt.
    fn nothing_said(&self, reason: &'static str) -> Events {
        self.recording.finish();
        let done = Done { reason, context: Vec::new(), metrics: Metrics::default() };
        Box::pin(stream::once(ready(Ok(Event::Done(done)))))
    }
}
