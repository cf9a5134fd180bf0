//! Reads an answer from the wire to its end, however slowly it is fetched: the turn must not wait for
//! the plugin.

use std::{error::Error, sync::Arc};

use roughneck_jobs::{
    model::{Completion, LlmError, Piece},
    ports::runner::Supervisor,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    asking::{self, Asking},
    broken::Broken,
    buffer::{Kept, Unread, Writer},
    config::Config,
    course::Course,
    line::Line,
    lines::{LINE_BYTES_MAX, Lines},
    load::{self, Says},
    metrics::Outcome,
    queue::Turn,
    response::Response,
    stats::{self, Figures},
};

/// A call that Ollama has begun to answer.
pub(crate) struct Begun {
    pub(crate) response: Response,
    pub(crate) turn: Turn,
}

/// The reading of one answer. Dropping it closes the connection.
pub(crate) struct Drain {
    asking: Asking,
    course: Course,
    /// None once the answer is over.
    wire: Option<Wire>,
    pieces: Writer,
    completion: Completion,
    /// None until the call gives way.
    teller: Option<Teller>,
}

/// Passes on what the call waits for, beside the reading: the store must not keep the turn.
struct Teller {
    says: Says,
    task: AbortOnDropHandle<()>,
}

/// What a look at the wire brings.
enum Read {
    /// Something, or nothing yet.
    Done,
    /// The turn must be given away.
    Wanted,
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

impl Teller {
    fn start(supervisor: &Arc<dyn Supervisor>) -> Self {
        let (says, said) = mpsc::unbounded_channel();
        let supervisor = Arc::clone(supervisor);
        let task = tokio::spawn(async move { load::tell(&*supervisor, said).await });
        Self { says, task: AbortOnDropHandle::new(task) }
    }

    /// Returns once all that was said is passed on.
    async fn finish(self) {
        drop(self.says);
        // It cannot have been stopped before.
        let _told = self.task.await;
    }
}

impl Drain {
    pub(crate) fn new(asking: Asking, begun: Begun, course: Course, pieces: Writer) -> Self {
        let completion = nothing_yet(&asking);
        Self { asking, course, wire: Some(begun.into()), pieces, completion, teller: None }
    }

    /// Reads until the answer is over, and returns the whole of it.
    pub(crate) async fn run(mut self) -> Result<Completion, LlmError> {
        let mut ended = Ok(());
        while self.wire.is_some() && ended.is_ok() {
            ended = match self.read().await {
                Ok(Read::Done) => Ok(()),
                Ok(Read::Wanted) => self.give_way().await,
                Err(broken) => Err(broken),
            };
        }
        let ended = ended.map_err(|broken| self.fail(broken));
        if let Some(teller) = self.teller.take() {
            teller.finish().await;
        }
        ended.map(|()| self.completion)
    }

    /// Makes the call anew behind an urgent one, unless the plugin has seen some of the answer.
    async fn give_way(&mut self) -> Result<(), Broken> {
        if let (Err(Kept), Some(wire)) = (self.pieces.retract(), &mut self.wire) {
            wire.turn.settle();
            return Ok(());
        }
        let Some(Wire { response, turn, .. }) = self.wire.take() else { return Ok(()) };
        drop(response);
        self.completion = nothing_yet(&self.asking);
        let supervisor = &self.asking.supervisor;
        let teller = self.teller.get_or_insert_with(|| Teller::start(supervisor));
        let ticket = asking::give_way(turn, &teller.says, &mut self.course);
        let begun = self.asking.begin(ticket, &teller.says, &mut self.course).await?;
        self.wire = Some(begun.into());
        Ok(())
    }

    /// Reads once from the wire and takes in the lines that are whole. Before that it waits for whoever
    /// fetches the answer, as patiently as for Ollama.
    async fn read(&mut self) -> Result<Read, Broken> {
        let Some(wire) = &mut self.wire else { return Ok(Read::Done) };
        let Config { stall, first_byte, .. } = self.asking.shared.config;
        let rest = self.course.rest();
        let Some(room) = wire.turn.unless_wanted(rest, self.pieces.room(stall)).await else {
            return Ok(Read::Wanted);
        };
        room.map_err(|Unread| {
            let why = format!("the plugin did not read it for {stall:?}");
            Broken::off(Outcome::Cancelled, why)
        })?;
        let (patience, deadline) = if wire.began {
            (stall, Instant::now() + stall)
        } else {
            (first_byte, self.course.dispatched_at() + first_byte)
        };
        let chunk = tokio::time::timeout_at(deadline, wire.response.chunk());
        let Some(chunk) = wire.turn.unless_wanted(rest, chunk).await else {
            return Ok(Read::Wanted);
        };
        let chunk =
            chunk.map_err(|_elapsed| Broken::silent(patience))?.map_err(|cut| Broken::cut(&cut))?;
        let Some(bytes) = chunk else { return self.end().map(|()| Read::Done) };
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
        Ok(Read::Done)
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
        let text = str::from_utf8(line).map_err(|error| unreadable(&error))?;
        let mut line = Line::read(text).map_err(|error| unreadable(&error))?;
        if let Some(error) = line.error.take() {
            return Err(Broken::off(Outcome::Error, error));
        }
        let number = self.asking.tool_calls_before.saturating_add(self.completion.tool_calls.len());
        let tool_calls = line.called_tools(number).map_err(|error| unreadable(&error))?;
        if let Some(thinking) = line.take_thinking() {
            self.piece(Piece::Thinking(thinking.into_owned()))?;
        }
        if let Some(said) = line.take_text() {
            self.piece(Piece::Text(said.into_owned()))?;
        }
        if !tool_calls.is_empty() {
            self.seen()?;
            self.completion.tool_calls.extend(tool_calls);
        }
        if line.done {
            let figures = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
            self.complete(&figures, line.take_reason().unwrap_or_default().into_owned());
        }
        Ok(())
    }

    fn piece(&mut self, piece: Piece) -> Result<(), Broken> {
        self.seen()?;
        match &piece {
            Piece::Text(text) => self.completion.text.push_str(text),
            Piece::Thinking(text) => {
                self.completion.thinking.get_or_insert_default().push_str(text);
            }
        }
        self.pieces.put(piece);
        Ok(())
    }

    /// Something that can be seen has come.
    fn seen(&mut self) -> Result<(), Broken> {
        let over = |over| Broken { outcome: Outcome::Cancelled, error: LlmError::OverBudget(over) };
        let turn = self.wire.as_mut().map(|wire| &mut wire.turn);
        self.course.piece(turn).map_err(over)
    }

    fn complete(&mut self, figures: &Figures, reason: String) {
        let cost = stats::cost(figures, &self.course.measured);
        self.completion.usage = cost.usage;
        self.completion.finish_reason = reason;
        self.course.complete(&cost);
        self.asking.shared.judge(self.asking.model.site, &cost);
        // The turn is free at once.
        if let Some(Wire { response, mut turn, .. }) = self.wire.take() {
            response.done();
            turn.went_well();
        }
    }

    fn fail(&mut self, broken: Broken) -> LlmError {
        if let Some(mut wire) = self.wire.take() {
            wire.turn.went_wrong(&broken);
        }
        self.course.fail(broken.outcome);
        self.asking.shared.react(self.asking.model.site, &broken.error);
        broken.error
    }
}

impl From<Begun> for Wire {
    fn from(Begun { response, turn }: Begun) -> Self {
        Self { response, lines: Lines::default(), began: false, turn }
    }
}

fn unreadable(error: &dyn Error) -> Broken {
    Broken::off(Outcome::Error, format!("a line is not what Ollama sends: {error}"))
}

/// The answer to a call, before any of it has come.
fn nothing_yet(asking: &Asking) -> Completion {
    let model = &asking.model;
    Completion {
        model: model.name.clone(),
        model_digest: model.digest.clone(),
        ..Completion::default()
    }
}
