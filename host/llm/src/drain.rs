//! Reads an answer from the wire to its end, however slowly it is fetched: the turn must not wait for
//! the plugin.

use roughneck_jobs::model::{Completion, LlmError, Piece};

use crate::{
    asking::{self, Asking},
    broken::Broken,
    buffer::{Kept, Unread, Writer},
    course::Course,
    line::{self, Line, unreadable},
    metrics::Outcome,
    stats::Figures,
    telling::Teller,
    wire::{Heard, Wire},
};

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

impl Drain {
    pub(crate) fn new(asking: Asking, wire: Wire, course: Course, pieces: Writer) -> Self {
        let completion = nothing_yet(&asking);
        Self { asking, course, wire: Some(wire), pieces, completion, teller: None }
    }

    /// Reads until the answer is over, and returns the whole of it.
    pub(crate) async fn run(mut self) -> Result<Completion, LlmError> {
        let mut ended = Ok(());
        while self.wire.is_some() && ended.is_ok() {
            ended = self.read().await;
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
        let Some(turn) = self.wire.take().map(Wire::close) else { return Ok(()) };
        self.completion = nothing_yet(&self.asking);
        let supervisor = &self.asking.supervisor;
        let teller = self.teller.get_or_insert_with(|| Teller::start(supervisor));
        let ticket = asking::give_way(turn, teller.says(), &mut self.course);
        let wire = self.asking.begin(ticket, teller.says(), &mut self.course).await?;
        self.wire = Some(wire);
        Ok(())
    }

    /// Reads once from the wire and takes in the lines that are whole. Before that it waits for whoever
    /// fetches the answer, as patiently as for Ollama.
    async fn read(&mut self) -> Result<(), Broken> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let config = &self.asking.shared.config;
        let room = self.pieces.room(config.stall);
        let heard = match wire.turn.unless_wanted(self.course.rest(), room).await {
            Some(Ok(())) => wire.next(&self.course, config).await?,
            Some(Err(Unread)) => {
                let why = format!("the plugin did not read it for {:?}", config.stall);
                return Err(Broken::off(Outcome::Cancelled, why));
            }
            None => Heard::Wanted,
        };
        match heard {
            Heard::Frames(lines) => self.lines(&lines),
            Heard::End(rest) => {
                self.lines(&rest)?;
                if self.wire.is_none() { Ok(()) } else { Err(Broken::ended()) }
            }
            Heard::Wanted => self.give_way().await,
        }
    }

    /// Takes in lines, up to the end of the answer.
    fn lines(&mut self, lines: &[u8]) -> Result<(), Broken> {
        for line in line::all_of(lines) {
            if self.wire.is_none() {
                break;
            }
            self.line(line)?;
        }
        Ok(())
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
        let Asking { shared, model, .. } = &self.asking;
        self.completion.usage = shared.answered(&mut self.course, model.site, figures).usage;
        self.completion.finish_reason = reason;
        if let Some(wire) = self.wire.take() {
            wire.done();
        }
    }

    fn fail(&mut self, broken: Broken) -> LlmError {
        if let Some(mut wire) = self.wire.take() {
            wire.turn.went_wrong(&broken);
        }
        let Asking { shared, model, .. } = &self.asking;
        shared.failed(&mut self.course, model.site, &broken);
        broken.error
    }
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
