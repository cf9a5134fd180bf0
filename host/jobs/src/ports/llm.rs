//! The lane to Ollama, as plugins and the engine see it.

use std::sync::Arc;

use async_trait::async_trait;

use super::runner::Supervisor;
use crate::{
    model::{Call, Completion, Health, LlmError, Piece, Resolved},
    preference::Preference,
};

/// An answer on its way. Dropping it stops the generation and frees the lane.
#[async_trait]
pub trait Answer: Send {
    /// The next piece, or none at the end.
    ///
    /// # Errors
    /// [`LlmError`] if the answer broke off; the stream is over then.
    async fn next(&mut self) -> Result<Option<Piece>, LlmError>;

    /// The whole answer, once [`Answer::next`] returned none.
    fn completion(&self) -> Completion;
}

/// The lane: one call in flight.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Waits for the lane, has the model loaded, sends the call, and returns when the answer begins.
    /// The supervisor is told while the model loads.
    ///
    /// # Errors
    /// [`LlmError`].
    async fn open(
        &self,
        call: Call,
        supervisor: Arc<dyn Supervisor>,
    ) -> Result<Box<dyn Answer>, LlmError>;

    /// The installed model behind a name or an alias. While Ollama is down any name is taken at its
    /// word: the job will wait.
    ///
    /// # Errors
    /// [`LlmError::NotInstalled`], after a second look at the inventory; [`LlmError::CloudDisabled`].
    async fn resolve(&self, model: &str) -> Result<Resolved, LlmError>;

    /// The names that stand for models of other names. [`Llm::resolve`] says for which.
    fn aliases(&self) -> Vec<String> {
        Vec::new()
    }

    /// The model that the next jobs should ask for, so that it need not be changed.
    fn preference(&self) -> Option<Preference> {
        None
    }

    /// How Ollama was when it was last asked.
    fn health(&self) -> Health;
}
