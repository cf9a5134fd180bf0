//! An answer as its caller fetches it.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    model::{Completion, LlmError, Piece},
    ports::llm::Answer,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    buffer::{Reader, buffer},
    drain::{Begun, Drain},
    lane::Shared,
    metrics::Account,
};

/// The answer of one call.
pub(crate) struct Streamed {
    /// Pieces that have arrived and were not fetched.
    pieces: Reader,
    /// The task that reads the wire. None once the caller knows how it ended.
    drain: Option<AbortOnDropHandle<Result<Completion, LlmError>>>,
    completion: Completion,
}

impl Streamed {
    pub(crate) fn new(shared: Arc<Shared>, begun: Begun, account: Account) -> Self {
        let (writer, pieces) = buffer();
        let task = tokio::spawn(Drain::new(shared, begun, account, writer).run());
        let drain = Some(AbortOnDropHandle::new(task));
        Self { pieces, drain, completion: Completion::default() }
    }
}

#[async_trait]
impl Answer for Streamed {
    async fn next(&mut self) -> Result<Option<Piece>, LlmError> {
        if let Some(piece) = self.pieces.take().await {
            return Ok(Some(piece));
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
