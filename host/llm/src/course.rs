//! How a call fares, over all of its tries: it may have to give way and be made anew.

use std::time::Duration;

use roughneck_jobs::{budget::OverBudget, ports::budgets::Reservation, priority::Priority};
use tokio::time::Instant;

use crate::{
    metrics::{Account, Outcome, Phase},
    preempt::Past,
    queue::{Ticket, Turn},
    stats::{Cost, Measured},
};

/// With fewer pieces nobody can tell how fast they come.
const PIECES_FOR_SPEED_MIN: u32 = 8;

/// The course of one call.
pub(crate) struct Course {
    pub(crate) account: Account,
    /// The tokens it may use.
    reserved: Option<Box<dyn Reservation>>,
    pub(crate) measured: Measured,
    /// Whether it gives way to urgent calls.
    gives_way: bool,
    past: Past,
    /// The most tokens of its answer, if the request says so.
    tokens_max: Option<u64>,
    /// When Ollama was sent it.
    dispatched_at: Instant,
}

impl Course {
    pub(crate) fn open(account: Account) -> Self {
        Self {
            account,
            reserved: None,
            measured: Measured::default(),
            gives_way: false,
            past: Past::default(),
            tokens_max: None,
            dispatched_at: Instant::now(),
        }
    }

    /// It has tokens of its own.
    pub(crate) fn has(&mut self, reserved: Box<dyn Reservation>) {
        self.reserved = Some(reserved);
    }

    /// How many tokens its answer may have; no limit if none.
    pub(crate) fn answer_max(&self) -> Option<u64> {
        self.reserved.as_ref()?.answer_max()
    }

    /// The call may be made anew. If its request says so, its answer has at most `tokens_max`.
    pub(crate) fn may_give_way(&mut self, tokens_max: Option<u64>) {
        self.gives_way = true;
        self.tokens_max = tokens_max;
    }

    /// Whether it gave way before.
    pub(crate) fn is_again(&self) -> bool {
        self.past.interruptions > 0
    }

    /// It has its turn, for which it waited so long.
    pub(crate) fn has_turn(&mut self, priority: Priority, waited: Duration) {
        self.measured.queue = self.measured.queue.saturating_add(waited);
        self.account.dispatched(priority, waited);
    }

    /// It waited so long for this load, if there was one.
    pub(crate) fn loaded(&mut self, load: Option<Duration>) {
        if let Some(load) = load {
            self.measured.load = Some(self.measured.load.unwrap_or_default().saturating_add(load));
        }
    }

    /// Ollama is sent it now.
    pub(crate) fn dispatch(&mut self, turn: &mut Turn) {
        self.account.reach(Phase::Prefill);
        self.dispatched_at = Instant::now();
        turn.asks();
        if let Some(reserved) = &mut self.reserved {
            reserved.sent();
        }
        if self.gives_way {
            turn.offer(self.past);
        }
    }

    pub(crate) fn dispatched_at(&self) -> Instant {
        self.dispatched_at
    }

    /// Something that can be seen has come: about one token. Who has the turn learns how long the first one took.
    ///
    /// # Errors
    /// [`OverBudget`], if there is none left for it.
    pub(crate) fn piece(&mut self, turn: Option<&mut Turn>) -> Result<(), OverBudget> {
        self.account.piece();
        if self.measured.first_token.is_none() {
            let took = self.dispatched_at.elapsed();
            self.measured.first_token = Some(took);
            self.account.first_token(took);
            if let Some(turn) = turn {
                turn.first_token(took);
            }
        }
        self.reserved.as_mut().map_or(Ok(()), |reserved| reserved.token())
    }

    /// Its answer has reached its end.
    pub(crate) fn complete(&mut self, cost: &Cost) {
        self.account.complete(cost);
        if let Some(mut reserved) = self.reserved.take() {
            reserved.settle(&cost.usage);
        }
    }

    /// Ollama was not there when it was to be sent.
    pub(crate) fn was_not_sent(&mut self) {
        self.account.reach(Phase::Queued);
        if let Some(reserved) = &mut self.reserved {
            reserved.gave_way();
        }
    }

    /// The model has done nothing for it.
    pub(crate) fn refused(&mut self) {
        if let Some(mut reserved) = self.reserved.take() {
            reserved.refused();
        }
    }

    /// It failed. What came of it is paid for.
    pub(crate) fn fail(&mut self, outcome: Outcome) {
        self.account.fail(outcome);
        self.reserved = None;
    }

    /// How much longer the answer takes at most, if that is known.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let pieces = u32::try_from(self.account.pieces()).unwrap_or(u32::MAX);
        let left = u32::try_from(self.tokens_max?).unwrap_or(u32::MAX).saturating_sub(pieces);
        let took = self.dispatched_at.elapsed().saturating_sub(self.measured.first_token?);
        (pieces >= PIECES_FOR_SPEED_MIN).then(|| (took / pieces).saturating_mul(left))
    }

    /// It gives the turn away. The connection to Ollama is closed; what came of it is lost.
    pub(crate) fn gave_way(&mut self, turn: Turn) -> Ticket {
        self.past.gave_way(self.dispatched_at.elapsed());
        let pieces = self.account.gave_way();
        self.measured.wasted_tokens = self.measured.wasted_tokens.saturating_add(pieces);
        self.measured.first_token = None;
        if let Some(reserved) = &mut self.reserved {
            reserved.gave_way();
        }
        turn.give_way()
    }
}
