//! An answer in pieces on its way from Ollama, whoever asked: its whole frames, how long Ollama may be silent between
//! them, and the turn that belongs to it.

use std::time::Duration;

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

/// A frame may come slowly, such as a list of tools of megabytes, but not for ever: so many times as long as Ollama may be
/// silent. Only waiting counts, and what is blank is no frame.
const FRAME_STALLS: u32 = 4;

/// The connection and the turn. The order matters: dropping the pieces closes the connection, which stops the generation,
/// and only then may the next call go.
pub(crate) struct Wire {
    pieces: Pieces,
    frames: Frames,
    /// Whether a byte has come.
    began: bool,
    /// How long was waited since the last frame that says anything.
    waited: Duration,
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
        let (pieces, frames) = (Pieces::of(response), Frames::new(framing));
        Self { pieces, frames, began: false, waited: Duration::ZERO, turn }
    }

    /// Waits for what comes next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Ollama is silent for too long, the connection broke, or a frame has no end or does not come to it.
    pub(crate) async fn next(&mut self, course: &Course, config: &Config) -> Result<Heard, Broken> {
        let began_at = Instant::now();
        let left = (config.stall.saturating_mul(FRAME_STALLS)).saturating_sub(self.waited);
        let deadline = if self.began {
            began_at + left.min(config.stall)
        } else {
            course.dispatched_at() + config.first_byte
        };
        let piece = tokio::time::timeout_at(deadline, self.pieces.next());
        let Some(piece) = self.turn.unless_wanted(course.rest(), piece).await else {
            return Ok(Heard::Wanted);
        };
        let late = |_elapsed| match (self.began, left < config.stall) {
            (false, _) => Broken::silent(config.first_byte),
            (true, false) => Broken::silent(config.stall),
            (true, true) => Broken::unfinished(config.stall.saturating_mul(FRAME_STALLS)),
        };
        let piece = piece.map_err(late)?.map_err(|cut| Broken::cut(&cut))?;
        let Some(piece) = piece else { return Ok(Heard::End(self.frames.rest())) };
        if self.began {
            self.waited += began_at.elapsed();
        }
        self.began = true;
        let whole = self.frames.push(piece).map_err(|TooLong| {
            let why = format!("a piece is longer than {} MiB", FRAME_BYTES_MAX >> 20);
            Broken::off(Outcome::Error, why)
        })?;
        if !whole.trim_ascii().is_empty() {
            self.waited = Duration::ZERO;
        }
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
