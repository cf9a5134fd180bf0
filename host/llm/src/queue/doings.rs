//! What the calls of a queue have done to Ollama, for whoever asks whether it was somebody else.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::model_id::ModelId;

/// What the calls of a queue have done to Ollama.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doings {
    /// How many turns there have been.
    pub(crate) turns: u64,
    /// Whether nobody has the turn.
    pub(crate) is_free: bool,
    /// The models of those who had the turn since this was asked before, or had it then.
    pub(crate) asked: BTreeSet<ModelId>,
    /// When the last turn ended for which Ollama was asked for something, if it may still be at work for it.
    pub(crate) left_at: Option<Instant>,
}

impl Doings {
    /// Those of two queues for one Ollama.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.turns += other.turns;
        self.is_free &= other.is_free;
        self.asked.extend(other.asked);
        self.left_at = self.left_at.max(other.left_at);
        self
    }
}
