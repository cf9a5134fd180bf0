//! An answer as it arrives.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use reqwest::Response;
use roughneck_jobs::{
    model::{Completion, LlmError, Piece, Resolved},
    ports::llm::Answer,
};
use tokio::time::Instant;

use crate::{
    chunk::Chunk,
    client::{root_cause, silent},
    config::Config,
    lane::Shared,
    lines::{LINE_BYTES_MAX, Lines},
    metrics::{Account, Outcome},
    stats::{self, Figures, Measured},
    turn::Turn,
};

/// A call that Ollama has begun to answer.
pub(crate) struct Begun {
    pub(crate) response: Response,
    pub(crate) turn: Turn,
    pub(crate) model: Resolved,
    pub(crate) measured: Measured,
    pub(crate) dispatched_at: Instant,
    /// Tool calls in the conversation so far.
    pub(crate) tool_calls_before: usize,
}

/// The answer of one call.
pub(crate) struct Streamed {
    shared: Arc<Shared>,
    /// None once the answer is over.
    wire: Option<Wire>,
    account: Account,
    measured: Measured,
    dispatched_at: Instant,
    tool_calls_before: usize,
    /// Pieces that have arrived and were not fetched.
    ready: VecDeque<Piece>,
    /// Told after the pieces that came before it.
    broken: Option<LlmError>,
    completion: Completion,
}

/// The connection and the turn that belongs to it. The order matters: dropping the response closes
/// the connection, which stops the generation, and only then may the next call go.
struct Wire {
    response: Response,
    lines: Lines,
    /// Whether a byte has come.
    began: bool,
    turn: Turn,
}

/// Why an answer is over before its end.
struct Broken {
    outcome: Outcome,
    error: LlmError,
}

impl Broken {
    fn new(outcome: Outcome, why: impl Into<String>) -> Self {
        Self { outcome, error: LlmError::BrokenOff(why.into()) }
    }
}

impl Streamed {
    pub(crate) fn new(shared: Arc<Shared>, begun: Begun, account: Account) -> Self {
        let Begun { response, turn, model, measured, dispatched_at, tool_calls_before } = begun;
        Self {
            shared,
            wire: Some(Wire { response, lines: Lines::default(), began: false, turn }),
            account,
            measured,
            dispatched_at,
            tool_calls_before,
            ready: VecDeque::new(),
            broken: None,
            completion: Completion {
                model: model.name,
                model_digest: model.digest,
                ..Completion::default()
            },
        }
    }

    /// Reads once from the wire and takes in the lines that are whole.
    async fn read(&mut self) -> Result<(), Broken> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let Config { stall, first_byte, .. } = self.shared.config;
        let (patience, deadline) = if wire.began {
            (stall, Instant::now() + stall)
        } else {
            (first_byte, self.dispatched_at + first_byte)
        };
        let chunk = tokio::time::timeout_at(deadline, wire.response.chunk()).await;
        let chunk = chunk
            .map_err(|_elapsed| Broken { outcome: Outcome::Timeout, error: silent(patience) })?
            .map_err(|error| Broken::new(Outcome::Truncated, root_cause(&error)))?;
        let Some(bytes) = chunk else { return self.end() };
        wire.began = true;
        wire.lines.push(&bytes);
        while let Some(wire) = &mut self.wire {
            let Some(line) = wire.lines.next_line().map_err(|_too_long| {
                let limit_mib = LINE_BYTES_MAX >> 20;
                Broken::new(Outcome::Error, format!("a line is longer than {limit_mib} MiB"))
            })?
            else {
                break;
            };
            self.line(&line)?;
        }
        Ok(())
    }

    /// The connection is at its end; if the last line is not there, so is the answer.
    fn end(&mut self) -> Result<(), Broken> {
        if let Some(rest) = self.wire.as_mut().and_then(|wire| wire.lines.rest()) {
            self.line(&rest)?;
        }
        if self.wire.is_none() {
            return Ok(());
        }
        Err(Broken::new(Outcome::Truncated, "the stream ended before done"))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        let unreadable = |error: serde_json::Error| {
            Broken::new(Outcome::Error, format!("a line is not what Ollama sends: {error}"))
        };
        let mut chunk: Chunk = serde_json::from_slice(line).map_err(unreadable)?;
        if let Some(error) = chunk.error {
            return Err(Broken::new(Outcome::Error, error));
        }
        for piece in chunk.take_pieces() {
            self.piece(piece);
        }
        let number = self.tool_calls_before.saturating_add(self.completion.tool_calls.len());
        let tool_calls = chunk.take_tool_calls(number);
        if !tool_calls.is_empty() {
            self.seen();
            self.completion.tool_calls.extend(tool_calls);
        }
        if chunk.done {
            let figures: Figures = serde_json::from_slice(line).map_err(unreadable)?;
            self.complete(&figures, chunk.done_reason);
        }
        Ok(())
    }

    fn piece(&mut self, piece: Piece) {
        self.seen();
        match &piece {
            Piece::Text(text) => self.completion.text.push_str(text),
            Piece::Thinking(text) => {
                self.completion.thinking.get_or_insert_default().push_str(text);
            }
        }
        self.ready.push_back(piece);
    }

    /// Something that can be seen has come.
    fn seen(&mut self) {
        self.account.piece();
        if self.measured.first_token.is_none() {
            let took = self.dispatched_at.elapsed();
            self.measured.first_token = Some(took);
            self.account.first_token(took);
        }
    }

    fn complete(&mut self, figures: &Figures, reason: Option<String>) {
        let cost = stats::cost(figures, &self.measured);
        self.completion.usage = cost.usage;
        self.completion.finish_reason = reason.unwrap_or_default();
        self.account.complete(&cost);
        // The turn is free at once, however long the caller takes to fetch the last pieces.
        if let Some(mut wire) = self.wire.take() {
            wire.turn.residency().confirm(Instant::now());
        }
    }

    fn fail(&mut self, broken: Broken) {
        if let Some(mut wire) = self.wire.take() {
            wire.turn.residency().doubt();
        }
        self.account.fail(broken.outcome);
        self.shared.react(&broken.error);
        self.broken = Some(broken.error);
    }
}

#[async_trait]
impl Answer for Streamed {
    async fn next(&mut self) -> Result<Option<Piece>, LlmError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            if self.wire.is_none() {
                return Ok(None);
            }
            if let Err(broken) = self.read().await {
                self.fail(broken);
            }
        }
    }

    fn completion(&self) -> Completion {
        self.completion.clone()
    }
}
