//! What one call has reserved.

use std::{fmt, sync::Arc};

use roughneck_jobs::{
    budget::{Answer, Demand, Grant, OverBudget},
    ports::budgets::Reservation,
    usage::Usage,
};

use super::Inner;

/// What one call has reserved. It is settled once, at the latest when it is dropped.
pub(super) struct Held {
    inner: Arc<Inner>,
    /// None once it is settled.
    grant: Option<Grant>,
    /// What the prompt has cost, if nobody counts it.
    prompt: u64,
    /// Nothing but this reservation ends the answer.
    is_watched: bool,
    is_sent: bool,
    /// Tokens of the answer that have come.
    counted: u64,
}

impl Held {
    pub(super) fn new(inner: Arc<Inner>, grant: Grant, demand: &Demand) -> Self {
        let prompt = demand.prompt.tokens_about();
        let is_watched = demand.answer == Answer::Watched;
        Self { inner, grant: Some(grant), prompt, is_watched, is_sent: false, counted: 0 }
    }

    fn end(&mut self, tokens: u64) {
        if let Some(grant) = self.grant.take() {
            self.inner.settle(grant, tokens);
        }
    }
}

impl Reservation for Held {
    fn answer_max(&self) -> Option<u64> {
        self.grant.as_ref().map(Grant::answer)
    }

    fn sent(&mut self) {
        self.is_sent = true;
    }

    fn token(&mut self) -> Result<(), OverBudget> {
        self.counted = self.counted.saturating_add(1);
        let Some(grant) = &mut self.grant else { return Ok(()) };
        // One that nothing ends needs another token: the next one, or the mark of its end.
        let needed = self.counted.saturating_add(self.is_watched.into());
        if needed > grant.answer() { self.inner.extend(grant) } else { Ok(()) }
    }

    fn gave_way(&mut self) {
        (self.is_sent, self.counted) = (false, 0);
    }

    fn refused(&mut self) {
        self.end(0);
    }

    fn settle(&mut self, usage: &Usage) {
        // Some answers do not tell what their prompt was.
        let prompt = if usage.input_tokens == 0 { self.prompt } else { usage.input_tokens };
        // And where a model thinks first, the figures may be those of what it said afterwards.
        self.end(prompt.saturating_add(usage.output_tokens.max(self.counted)));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let tokens = if self.is_sent { self.prompt.saturating_add(self.counted) } else { 0 };
        self.end(tokens);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("grant", &self.grant).finish_non_exhaustive()
    }
}
