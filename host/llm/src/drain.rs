//! Reads an answer from the wire to its end, however slowly it is fetched: the turn must not wait for
//! the plugin.

use std::sync::Arc;

use reqwest::Response;
use roughneck_jobs::model::{Completion, LlmError, Piece, Resolved};
use tokio::time::Instant;

use crate::{
    broken::Broken,
    buffer::{Unread, Writer},
    chunk::Chunk,
    config::Config,
    lane::Shared,
    lines::{LINE_BYTES_MAX, Lines},
    metrics::{Account, Outcome},
    queue::Turn,
    stats::{self, Figures, Measured},
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

/// The reading of one answer. Dropping it closes the connection.
pub(crate) struct Drain {
    shared: Arc<Shared>,
    /// None once the answer is over.
    wire: Option<Wire>,
    account: Account,
    measured: Measured,
    dispatched_at: Instant,
    tool_calls_before: usize,
    pieces: Writer,
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

impl Drain {
    pub(crate) fn new(shared: Arc<Shared>, begun: Begun, account: Account, pieces: Writer) -> Self {
        let Begun { response, turn, model, measured, dispatched_at, tool_calls_before } = begun;
        Self {
            shared,
            wire: Some(Wire { response, lines: Lines::default(), began: false, turn }),
            account,
            measured,
            dispatched_at,
            tool_calls_before,
            pieces,
            completion: Completion {
                model: model.name,
                model_digest: model.digest,
                ..Completion::default()
            },
        }
    }

    /// Reads until the answer is over, and returns the whole of it.
    pub(crate) async fn run(mut self) -> Result<Completion, LlmError> {
        while self.wire.is_some() {
            let read = match self.room().await {
                Ok(()) => self.read().await,
                Err(unread) => Err(unread),
            };
            if let Err(broken) = read {
                return Err(self.fail(broken));
            }
        }
        Ok(self.completion)
    }

    /// Waits for whoever fetches the answer, as patiently as for Ollama.
    async fn room(&self) -> Result<(), Broken> {
        let patience = self.shared.config.stall;
        self.pieces.room(patience).await.map_err(|Unread| {
            let why = format!("the plugin did not read it for {patience:?}");
            Broken::off(Outcome::Cancelled, why)
        })
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
            .map_err(|_elapsed| Broken::silent(patience))?
            .map_err(|error| Broken::cut(&error))?;
        let Some(bytes) = chunk else { return self.end() };
        wire.began = true;
        wire.lines.push(&bytes);
        while let Some(wire) = &mut self.wire {
            let Some(line) = wire.lines.next_line().map_err(|_too_long| {
                let limit_mib = LINE_BYTES_MAX >> 20;
                Broken::off(Outcome::Error, format!("a line is longer than {limit_mib} MiB"))
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
        Err(Broken::off(Outcome::Truncated, "the stream ended before done"))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        let unreadable = |error: serde_json::Error| {
            Broken::off(Outcome::Error, format!("a line is not what Ollama sends: {error}"))
        };
        let mut chunk: Chunk = serde_json::from_slice(line).map_err(unreadable)?;
        if let Some(error) = chunk.error {
            return Err(Broken::off(Outcome::Error, error));
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
        self.pieces.put(piece);
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
        // The turn is free at once.
        if let Some(mut wire) = self.wire.take() {
            wire.turn.residency().confirm(Instant::now());
        }
    }

    fn fail(&mut self, broken: Broken) -> LlmError {
        if let Some(mut wire) = self.wire.take() {
            wire.turn.residency().doubt();
        }
        self.account.fail(broken.outcome);
        self.shared.react(&broken.error);
        broken.error
    }
}
