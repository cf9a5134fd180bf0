//! The turn: what its holder may do, and how it is given away.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::model::{LlmError, Site};
use tokio::{sync::Notify, time::Instant};

use super::{Place, Queue, Seat, Ticket};
use crate::{
    breaker::Sign,
    broken::Broken,
    metrics::Counted,
    planner::{self, Reason, Waiting},
    preempt::{self, Decision, Past, Running},
    residency::Residency,
    runner_key::RunnerKey,
    swap::Swap,
};

/// The right to talk to Ollama. Only its holder may know or change what is loaded. Dropping it lets
/// the next one in. After a cancelled call that one may reach Ollama some milliseconds before
/// Ollama notices that the other client has left; its own single slot keeps the two apart.
#[derive(Debug)]
pub(crate) struct Turn {
    residency: Residency,
    pub(super) reason: Reason,
    seat: Seat,
    ticket: u64,
    /// None unless it would give way.
    offer: Option<Offer>,
    queue: Queue,
    /// What its end says about Ollama.
    sign: Sign,
    work: Work,
    /// Whether Ollama is silent until its answer is whole.
    is_whole: bool,
    /// Since when Ollama has been asked, and has not begun to answer.
    silent_since: Option<Instant>,
    _in_flight: Counted,
}

/// What Ollama does for the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Nothing: it was not asked, or has refused.
    None,
    /// It may be at it.
    UnderWay,
    /// It has done it. What it was at before is over as well.
    Done,
}

/// A call that is being answered, and that can be made anew.
#[derive(Debug)]
struct Offer {
    past: Past,
    made_at: Instant,
    bell: Arc<Notify>,
    /// When it is decided again though nobody has come.
    decides_at: Option<Instant>,
}

impl Turn {
    pub(super) fn new(
        residency: Residency,
        reason: Reason,
        seat: Seat,
        ticket: u64,
        queue: Queue,
    ) -> Self {
        let _in_flight = queue.0.metrics.in_flight(queue.0.site);
        Self {
            residency,
            reason,
            seat,
            ticket,
            offer: None,
            queue,
            sign: Sign::None,
            work: Work::None,
            is_whole: false,
            silent_since: None,
            _in_flight,
        }
    }

    /// Where its call is answered.
    pub(crate) fn site(&self) -> Site {
        self.queue.0.site
    }

    /// Ollama is asked now.
    pub(crate) fn asks(&mut self) {
        self.work = Work::UnderWay;
        self.silent_since = Some(Instant::now());
    }

    /// Ollama is asked for an answer in one piece: that it says nothing for long is no failure, only a reason to
    /// feel its pulse.
    pub(crate) fn expects_silence(&mut self) {
        self.is_whole = true;
    }

    /// Ollama has begun to answer.
    pub(crate) fn hears(&mut self) {
        self.silent_since = None;
    }

    /// The first token came after so long.
    pub(crate) fn first_token(&mut self, took: Duration) {
        self.residency.learn_first_token(took);
    }

    /// Ollama has answered to the end, whatever it said.
    pub(crate) fn is_answered(&mut self) {
        self.work = Work::Done;
        self.silent_since = None;
    }

    /// Ollama has done its work.
    pub(crate) fn went_well(&mut self) {
        self.is_answered();
        self.residency.confirm(Instant::now());
        self.sign = Sign::Well;
    }

    /// Ollama has not done what it was asked for.
    pub(crate) fn went_wrong(&mut self, broken: &Broken) {
        if broken.casts_doubt() {
            self.residency.doubt();
        }
        self.silent_since = None;
        if matches!(broken.error, LlmError::Refused { .. }) {
            self.work = Work::None;
        }
        self.sign = match broken.sign() {
            Sign::Failed(failure) if failure.in_silence && self.is_whole => Sign::Left,
            sign @ (Sign::Well | Sign::Failed(_) | Sign::Away(_) | Sign::Left | Sign::None) => sign,
        };
    }

    /// Ollama has not loaded the model of the holder.
    pub(crate) fn load_went_wrong(&mut self, broken: &Broken) {
        self.went_wrong(broken);
        if let Sign::Failed(failure) = &mut self.sign {
            failure.load_of = Some(self.seat.key.model().clone());
        }
    }

    /// How Ollama has failed to load the model of the holder, while it is not asked to again.
    pub(crate) fn barred(&self) -> Option<LlmError> {
        self.queue.0.circuit.as_ref()?.barred(self.seat.key.model())
    }

    /// What is loaded.
    pub(crate) fn residency(&mut self) -> &mut Residency {
        &mut self.residency
    }

    /// The holder has loaded `key`, by this name.
    pub(crate) fn loaded(&mut self, name: &str, key: RunnerKey, swap: Swap, took: Duration) {
        self.is_answered();
        if let Some(circuit) = &self.queue.0.circuit {
            circuit.loaded(key.model());
        }
        self.residency.loaded(name, key, Instant::now());
        self.residency.learn(swap, took);
        self.queue.lock().resident = self.residency.shown();
        let metrics = &self.queue.0.metrics;
        metrics.swap(swap, self.reason, took);
        metrics.quantum(planner::quantum(self.residency.swap_cost(), Swap::Model));
    }
}

/// Giving way.
impl Turn {
    /// From now on the call, which Ollama is about to get, gives way to an urgent one if it is bulk.
    pub(crate) fn offer(&mut self, past: Past) {
        if !preempt::is_bulk(self.seat.priority) {
            return;
        }
        let bell = Arc::new(Notify::new());
        // Somebody may have come already.
        bell.notify_one();
        self.queue.lock().bell = Some(Arc::clone(&bell));
        self.offer = Some(Offer { past, made_at: Instant::now(), bell, decides_at: None });
    }

    /// The call can no longer be made anew.
    pub(crate) fn settle(&mut self) {
        self.offer = None;
        self.queue.lock().bell = None;
    }

    /// Does `work`, unless the turn must be given away before it is done: then there is nothing. `rest` is
    /// how much longer the call takes at most, if that is known.
    pub(crate) async fn unless_wanted<T>(
        &mut self,
        rest: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        while let Some(offer) = &self.offer {
            tokio::select! {
                biased;
                () = offer.rung() => {}
                done = &mut work => return Some(done),
            }
            match self.decision(rest) {
                Decision::GiveWay => return None,
                Decision::Again(after) => self.decide_at(Some(Instant::now() + after)),
                Decision::GoOn => self.decide_at(None),
            }
        }
        Some(work.await)
    }

    fn decide_at(&mut self, at: Option<Instant>) {
        if let Some(offer) = &mut self.offer {
            offer.decides_at = at;
        }
    }

    fn decision(&self, rest: Option<Duration>) -> Decision {
        let Some(Offer { past, made_at, bell: _, decides_at: _ }) = &self.offer else {
            return Decision::GoOn;
        };
        let now = Instant::now();
        let call = self.seat.waits(self.ticket, &self.residency);
        let running = Running { call, past: *past, age: now - *made_at, rest };
        let waiting: Vec<Waiting> = self.queue.lock().waiting(&self.residency).collect();
        let residency = &self.residency;
        preempt::decide(&running, &waiting, residency.usage(now), residency.swap_cost())
    }

    /// Takes its old place in the line again, and lets the next one go. The caller has closed its connection
    /// to Ollama.
    pub(crate) fn give_way(mut self) -> Ticket {
        // That it was broken off says nothing about Ollama.
        self.hears();
        let ticket = self.place().again();
        drop(self);
        ticket
    }

    /// Where its call stood in the line.
    pub(crate) fn place(&self) -> Place {
        Place { queue: self.queue.clone(), number: self.ticket, seat: self.seat.clone() }
    }
}

impl Place {
    /// Whether nobody gets the turn while Ollama is known to be away.
    pub(crate) fn is_kept_back(&self) -> bool {
        self.queue.0.circuit.is_some()
    }

    /// Takes it again. Its call had it before, so it is not asked whether there is room.
    pub(crate) fn again(self) -> Ticket {
        let Self { queue, number, seat } = self;
        let granted = queue.enter(queue.lock(), number, seat);
        Ticket { number, granted, queue }
    }
}

impl Offer {
    /// Completes when it is to be decided whether the call gives way.
    async fn rung(&self) {
        let decides = async {
            match self.decides_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.bell.notified() => {}
            () = decides => {}
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        self.residency.leave(now);
        let sign = std::mem::replace(&mut self.sign, Sign::None);
        match self.work {
            Work::None => {}
            Work::UnderWay => self.queue.lock().left_at = Some(now),
            Work::Done => self.queue.lock().left_at = None,
        }
        // Before the next one goes: it may be that none does.
        if let Some(circuit) = &self.queue.0.circuit {
            let first_token = self.residency.first_token();
            let is_odd = |since| circuit.is_odd(now.saturating_duration_since(since), first_token);
            let is_left = self.silent_since.is_some_and(is_odd);
            circuit.ended(if is_left { Sign::Left } else { sign });
        }
        let nothing = Residency::unknown(now);
        let residency = std::mem::replace(&mut self.residency, nothing);
        self.queue.hand_over(residency, Some(self.ticket));
    }
}
