//! One answer: the wait for it, its words as they come, and what it has cost.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use roughneck_jobs::id::JobId;
use serde::Serialize;

use super::{Chat, Message, figures, voice::Voice};
use crate::{
    client::{Call, Client, Job, Piece, with_hint},
    span::span,
    terminal,
};

/// How long the host may take to write down what an answer has cost.
const BOOKS_LIMIT: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    messages: &'a [Message],
}

/// Asks what was said last, shows the answer, and adds it to `said`.
///
/// # Errors
/// What the host refused, that none answers, or that the answer broke off.
pub(super) async fn show(chat: &Chat, said: &mut String) -> Result<()> {
    let question = Question { model: &chat.model, messages: &chat.messages };
    let asked_at = Instant::now();
    let mut call = match chat.caller.call("/api/chat", &question, chat.priority).await {
        Ok(call) => call,
        Err(error) => return Err(with_hint(&chat.host.client, &chat.model, error).await),
    };
    let mut voice = Voice::new(chat.host.json);
    while let Some(piece) = call.next().await? {
        said.push_str(&piece.message.content);
        if !piece.done && piece.message.content.is_empty() && piece.message.thinking.is_empty() {
            voice.wait(&waiting(&chat.host.client, &call, asked_at).await);
        }
        voice.say(&piece)?;
        if piece.done {
            voice.end()?;
            return cost(chat, &call, &piece).await;
        }
    }
    bail!("the answer ended in its middle")
}

/// How far a call has come that is not answered yet.
async fn waiting(client: &Client, call: &Call, asked_at: Instant) -> String {
    let state = match call.job {
        Some(id) => state(client, id).await,
        None => None,
    };
    let state = state.unwrap_or_else(|| "queued".to_owned());
    let place = match call.position {
        Some(place) if state == "queued" && place > 0 => format!(" at place {place}"),
        Some(_) | None => String::new(),
    };
    let waited = u64::try_from(asked_at.elapsed().as_millis()).unwrap_or(u64::MAX);
    format!("{state}{place}, for {}", span(waited))
}

/// The state of the job, unless it is not written down yet.
async fn state(client: &Client, id: JobId) -> Option<String> {
    let job: Job = client.job(id).await.ok()?.parse().ok()?;
    Some(job.state)
}

async fn cost(chat: &Chat, call: &Call, last: &Piece) -> Result<()> {
    if !chat.host.json {
        let job = match call.job {
            Some(id) => tokio::time::timeout(BOOKS_LIMIT, ended(&chat.host.client, id)).await.ok(),
            None => None,
        };
        // What is known of the cost is shown: the answer is what was asked for.
        let job = job.and_then(Result::ok);
        terminal::tell(&figures::line(last, job.as_ref()));
    }
    Ok(())
}

/// The job, once its books are closed.
async fn ended(client: &Client, id: JobId) -> Result<Job> {
    let mut events = client.events(id);
    while events.next().await?.is_some() {}
    client.job(id).await?.parse()
}
