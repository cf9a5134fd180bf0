//! An answer as its caller fetches it.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    model::{Completion, LlmError, Piece},
    ports::{llm::Answer, runner::Supervisor},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    asking::Asking,
    buffer::{Reader, Taken, buffer},
    course::Course,
    drain::Drain,
    wire::Wire,
};

/// The answer of one call.
pub(crate) struct Streamed {
    /// Pieces that have arrived and were not fetched.
    pieces: Reader,
    supervisor: Arc<dyn Supervisor>,
    /// The task that reads the wire. None once the caller knows how it ended.
    drain: Option<AbortOnDropHandle<Result<Completion, LlmError>>>,
    completion: Completion,
}

impl Streamed {
    pub(crate) fn new(asking: Asking, wire: Wire, course: Course) -> Self {
        let (writer, pieces) = buffer(asking.delivery);
        let supervisor = Arc::clone(&asking.supervisor);
        let task = tokio::spawn(Drain::new(asking, wire, course, writer).run());
        let drain = Some(AbortOnDropHandle::new(task));
        Self { pieces, supervisor, drain, completion: Completion::default() }
    }
}

#[async_trait]
impl Answer for Streamed {
    async fn next(&mut self) -> Result<Option<Piece>, LlmError> {
        while let Some(taken) = self.pieces.take().await {
            match taken {
                Taken::Piece(piece) => return Ok(Some(piece)),
                // Here, because whoever asks has shown all that it took.
                Taken::Anew => self.supervisor.retract(),
            }
        }
        if let Some(drain) = &mut self.drain {
            let ended = drain.await;
            self.drain = None;
            let stopped = |_| LlmError::BrokenOff("its reading was stopped with the host".into());
            self.completion = ended.map_err(stopped)??;
        }
        Ok(None)
    }

    fn completion(&self) -> Completion {
        self.completion.clone()
    }
}
