//! An answer in pieces on its way from Ollama, whoever asked: its whole frames, how long Ollama may be silent between
//! them, and the turn that belongs to it.

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    broken::Broken,
    config::Config,
    course::Course,
    frames::{FRAME_BYTES_MAX, Frames, Framing, TooLong},
    metrics::Outcome,
    pieces::Pieces,
    queue::Turn,
    response::Response,
};

/// The connection and the turn. The order matters: dropping the pieces closes the connection, which stops the generation,
/// and only then may the next call go.
pub(crate) struct Wire {
    pieces: Pieces,
    frames: Frames,
    /// Whether a byte has come.
    began: bool,
    pub(crate) turn: Turn,
}

/// What is heard of an answer.
pub(crate) enum Heard {
    /// The frames that have become whole, back to back, if any have.
    Frames(Bytes),
    /// The connection is at its end. A last frame that nothing ended may be the end of the answer all the same.
    End(Bytes),
    /// Nothing: the turn must be given away.
    Wanted,
}

impl Wire {
    pub(crate) fn of(response: Response, turn: Turn, framing: Framing) -> Self {
        Self { pieces: Pieces::of(response), frames: Frames::new(framing), began: false, turn }
    }

    /// Waits for what comes next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Ollama is silent for too long, the connection broke, or a frame has no end.
    pub(crate) async fn next(&mut self, course: &Course, config: &Config) -> Result<Heard, Broken> {
        let (patience, deadline) = if self.began {
            (config.stall, Instant::now() + config.stall)
        } else {
            (config.first_byte, course.dispatched_at() + config.first_byte)
        };
        let piece = tokio::time::timeout_at(deadline, self.pieces.next());
        let Some(piece) = self.turn.unless_wanted(course.rest(), piece).await else {
            return Ok(Heard::Wanted);
        };
        let piece =
            piece.map_err(|_elapsed| Broken::silent(patience))?.map_err(|cut| Broken::cut(&cut))?;
        let Some(piece) = piece else { return Ok(Heard::End(self.frames.rest())) };
        self.began = true;
        let whole = self.frames.push(piece).map_err(|TooLong| {
            let why = format!("a piece is longer than {} MiB", FRAME_BYTES_MAX >> 20);
            Broken::off(Outcome::Error, why)
        })?;
        Ok(Heard::Frames(whole))
    }

    /// The answer is whole. The connection may serve the next call, and the turn is free at once.
    pub(crate) fn done(self) {
        let Self { pieces, mut turn, .. } = self;
        turn.went_well();
        pieces.done();
    }

    /// Closes the connection. The turn is still to be given away.
    pub(crate) fn close(self) -> Turn {
        self.turn
    }
}
