//! One answer as it is generated: what comes out, when, and the figures at its end.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Serialize;
use tokio::sync::mpsc::{self, Sender};

use super::call::{Call, CutHow};
use super::clock::Stopwatch;
use super::log::Recording;
use super::runner::Runner;
use super::tools::ToolCall;
use super::words::pieces;

/// Something that a client gets to see.
#[derive(Debug)]
pub(super) enum Event {
    /// A token of thought.
    Thinking(String),
    /// A token of the answer.
    Text(String),
    /// A call of a tool, whole.
    ToolCall(ToolCall),
    /// The end.
    Done(Done),
    /// The end, badly.
    Failed(String),
}

/// The end of a complete answer.
#[derive(Debug)]
pub(super) struct Done {
    /// `stop` or `length`.
    pub(super) reason: &'static str,
    /// Prompt and answer as token ids: the deprecated `context` of `/api/generate`.
    pub(super) context: Vec<u32>,
    pub(super) metrics: Metrics,
}

/// The figures of the last object, in Ollama's order. Durations are nanoseconds; zero is left out, as upstream.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Metrics {
    /// From the entry of the handler to the end.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) total_duration: u64,
    /// From the entry of the handler until the model was loaded and ours to use.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) load_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) prompt_eval_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) prompt_eval_duration: u64,
    /// Sampled tokens, with thinking and, unless the answer was cut for its length, the end-of-sequence token.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) eval_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) eval_duration: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(figure: &u64) -> bool {
    *figure == 0
}

/// Nanoseconds, at least one: a duration that upstream never leaves out must not round to nothing on a coarse clock.
pub(super) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// A call with what it needs to run.
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) runner: Arc<Runner>,
    pub(super) watch: Stopwatch,
    pub(super) recording: Recording,
}

/// The events of one answer. An error means that the connection is to be cut.
pub(super) type Events = Pin<Box<dyn Stream<Item = io::Result<Event>> + Send>>;

/// Runs `job` as its events are polled for. Nothing is spawned: dropping the stream stops the generation where it
/// stands and frees the runner, which is how a client that leaves cancels its request.
pub(super) fn events(job: Job) -> Events {
    let (out, mut events) = mpsc::channel(1);
    let work = run(job, out).into_stream().filter_map(|()| std::future::ready(None));
    let events = stream::poll_fn(move |context| events.poll_recv(context));
    Box::pin(stream::select(events, work))
}

async fn run(job: Job, out: Sender<io::Result<Event>>) {
    let Job { call, runner, mut watch, recording } = job;
    let lease = runner.acquire(&call.wanted, &mut watch).await;
    let loaded_at = watch.elapsed();
    // Waiting here is in no figure but the total, as upstream.
    let slot = lease.slot().await;

    watch.begin_phase();
    let prompt_from = watch.elapsed();
    watch.spend(call.prefill_time()).await;
    let decode_from = watch.elapsed();

    let (tokens, limited) = tokens(&call);
    let token_count: usize = tokens.iter().map(cost).sum();
    let cut_after = call.cut.as_ref().map(|cut| cut.after_tokens);
    for token in tokens.into_iter().take(cut_after.unwrap_or(usize::MAX)) {
        let cost = cost(&token);
        watch.spend(call.token_time() * u32::try_from(cost).unwrap_or(u32::MAX)).await;
        recording.tokens(cost);
        if out.send(Ok(token)).await.is_err() {
            return;
        }
    }
    let end = match call.cut.as_ref().map(|cut| &cut.how) {
        None => {
            let mut eval_count = token_count as u64;
            if !limited {
                watch.spend(call.token_time()).await;
                eval_count += 1;
            }
            let now = watch.elapsed();
            Some(Ok(Event::Done(Done {
                reason: if limited { "length" } else { "stop" },
                context: context(&call),
                metrics: Metrics {
                    total_duration: nanoseconds(now),
                    load_duration: nanoseconds(loaded_at),
                    prompt_eval_count: call.prompt_tokens,
                    prompt_eval_duration: nanoseconds(decode_from.saturating_sub(prompt_from)),
                    eval_count,
                    eval_duration: nanoseconds(now.saturating_sub(decode_from)),
                },
            })))
        }
        Some(CutHow::Fail(message)) => Some(Ok(Event::Failed(message.clone()))),
        Some(CutHow::Truncate) => None,
        Some(CutHow::Stall) => pending().await,
        Some(CutHow::HangUp) => Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))),
    };
    // All of it is over before the client can know: its next request finds the runner free.
    drop(slot);
    drop(lease);
    recording.finish();
    if let Some(end) = end {
        // A client that leaves now has missed the end, and nobody needs to be told.
        let _left = out.send(end).await;
    }
}

/// Made-up ids: equal tokens have equal ones, and they fit a vocabulary of 2^17.
fn context(call: &Call) -> Vec<u32> {
    if call.context_of.is_empty() {
        return Vec::new();
    }
    let id = |piece: &str| {
        piece.bytes().fold(17_u32, |id, byte| id.wrapping_mul(31).wrapping_add(u32::from(byte)))
            % (1 << 17)
    };
    let prompt = pieces(&call.context_of);
    let answer = pieces(&call.text);
    prompt.into_iter().chain(answer).map(id).collect()
}

/// How many tokens an event stands for. A call of a tool comes out whole, when its last token is there.
fn cost(event: &Event) -> usize {
    match event {
        Event::Thinking(_) | Event::Text(_) => 1,
        Event::ToolCall(call) => call.tokens(),
        Event::Done(_) | Event::Failed(_) => 0,
    }
}

/// The tokens of the answer, and whether the limit cut it.
fn tokens(call: &Call) -> (Vec<Event>, bool) {
    let thinking =
        pieces(&call.thinking).into_iter().map(|piece| Event::Thinking(piece.to_owned()));
    let text = pieces(&call.text).into_iter().map(|piece| Event::Text(piece.to_owned()));
    let calls = call.tool_calls.iter().cloned().map(Event::ToolCall);
    let mut tokens: Vec<Event> = thinking.chain(text).chain(calls).collect();
    let max = call.tokens_max.and_then(|max| usize::try_from(max).ok());
    // At the limit the model has not sampled its end-of-sequence token yet.
    let limited = max.is_some_and(|max| tokens.len() >= max);
    tokens.truncate(max.unwrap_or(usize::MAX));
    (tokens, limited)
}
