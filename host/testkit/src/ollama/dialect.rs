//! From events to bytes: streamed or gathered, in the words of one API.

use std::future::ready;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::generation::{Done, Event, Events};
use super::tools::ToolCall;
use super::wire::{Answer, Refusal};

/// How one API writes an answer.
pub(super) trait Dialect: Send + 'static {
    /// Content type of a stream.
    const STREAM_TYPE: &'static str;

    /// Content type of an answer that is not streamed.
    const WHOLE_TYPE: &'static str;

    /// The bytes of one event.
    fn chunk(&mut self, event: Event) -> Bytes;

    /// The body of an answer that is not streamed.
    fn whole(&mut self, answer: Gathered) -> Bytes;
}

/// All events of one answer put together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) thinking: String,
    pub(super) text: String,
    pub(super) tool_calls: Vec<ToolCall>,
    /// None if the stream ended without it.
    pub(super) done: Option<Done>,
}

/// Answers with `events`. The head of a stream is held back until there is a first event, as upstream: what fails
/// before it still gets a status.
pub(super) async fn respond<D: Dialect>(
    events: Events,
    dialect: D,
    streamed: bool,
) -> Result<Answer, Refusal> {
    if streamed {
        respond_streamed(events, dialect).await
    } else {
        respond_whole(events, dialect).await
    }
}

async fn respond_streamed<D: Dialect>(
    mut events: Events,
    mut dialect: D,
) -> Result<Answer, Refusal> {
    let first = match events.next().await {
        None => Bytes::new(),
        Some(Err(_cut)) => return Ok(Answer::HangUp),
        Some(Ok(Event::Failed(message))) => return Err(Refusal::new(500, message)),
        Some(Ok(event)) => dialect.chunk(event),
    };
    let rest = events.map(move |event| event.map(|event| dialect.chunk(event)));
    let first = stream::once(ready(Ok(first)));
    Ok(Answer::Stream { content_type: D::STREAM_TYPE, body: Box::pin(first.chain(rest)) })
}

async fn respond_whole<D: Dialect>(mut events: Events, mut dialect: D) -> Result<Answer, Refusal> {
    let mut gathered = Gathered::default();
    while let Some(event) = events.next().await {
        match event {
            Err(_cut) => return Ok(Answer::HangUp),
            Ok(Event::Failed(message)) => return Err(Refusal::new(500, message)),
            Ok(Event::Thinking(piece)) => gathered.thinking.push_str(&piece),
            Ok(Event::Text(piece)) => gathered.text.push_str(&piece),
            Ok(Event::ToolCall(call)) => gathered.tool_calls.push(call),
            Ok(Event::Done(done)) => gathered.done = Some(done),
        }
    }
    Ok(Answer::Whole { status: 200, content_type: D::WHOLE_TYPE, body: dialect.whole(gathered) })
}
