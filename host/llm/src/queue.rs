//! The queue in front of the lane: who waits, and whose turn it is. The [`planner`] decides; here its
//! choice is handed over, directly and exactly once. Who has the turn may offer to give way to an urgent
//! call: a bell says that somebody has come, and then [`crate::preempt`] decides.
//!
//! What is answered on this machine has one turn at a time, so that the one who has it knows what is loaded. Where nothing
//! is loaded, in the cloud, there may be more, and the rank alone decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use roughneck_jobs::{
    clock::Millis,
    model::{LlmError, Site},
    priority::Priority,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    circuit::Circuit,
    metrics::{Metrics, Waits},
    model_id::ModelId,
    planner::{self, Choice, Next, Reason, Waiting},
    report::Loaded,
    residency::{Residency, Resident},
    runner_key::RunnerKey,
};

mod doings;
mod outside;
mod turn;

pub(crate) use doings::Doings;
pub(crate) use outside::Outside;
pub(crate) use turn::Turn;

/// The queue of one lane.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Inner>);

/// How much room a queue has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// How many turns there are at once.
    pub(crate) turns: usize,
    /// How many calls may wait for one.
    pub(crate) waiting_max: usize,
}

#[derive(Debug)]
struct Inner {
    line: Mutex<Line>,
    /// Where its calls are answered.
    site: Site,
    room: Room,
    metrics: Arc<Metrics>,
    /// What stops it while Ollama is ill. The embedder's queue has none, whose runner is another one, nor that of the
    /// cloud, which needs none.
    circuit: Option<Arc<Circuit>>,
    /// Where the lane lingers.
    runtime: Handle,
}

#[derive(Debug)]
struct Line {
    /// What is loaded, of each turn that nobody has.
    free: Vec<Residency>,
    /// Those who wait, by ticket.
    waiting: BTreeMap<u64, Waiter>,
    /// The others, who wait until they may line up.
    outside: BTreeSet<u64>,
    /// The runners of those who have a turn, by ticket.
    serving: BTreeMap<u64, RunnerKey>,
    /// Rung when somebody comes, if the one who has the turn would give way.
    bell: Option<Arc<Notify>>,
    /// What is loaded, as far as the last one who had the turn knew.
    resident: Option<Resident>,
    /// What Ollama was told to let go of by others than the one who has the turn.
    let_go: Vec<RunnerKey>,
    next_ticket: u64,
    /// How many turns there have been.
    turns: u64,
    /// The models of the calls that had their turn since somebody asked, see [`Queue::doings`].
    asked: BTreeSet<ModelId>,
    /// When the last turn ended for which Ollama was asked for something, if it may still be at work for it.
    left_at: Option<Instant>,
    /// When the lane, which lingers, decides again though nobody has come.
    decides_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    seat: Seat,
    grant: oneshot::Sender<Grant>,
    _waits: Waits,
}

/// What a call asks for, and its place among the others.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) key: RunnerKey,
    pub(crate) rank: Millis,
    pub(crate) priority: Priority,
}

/// The place of a call in the line, which it may take again.
#[derive(Debug)]
pub(crate) struct Place {
    queue: Queue,
    number: u64,
    seat: Seat,
}

/// Every place in the queue is taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) waiting_max: usize,
}

impl From<Full> for LlmError {
    fn from(Full { waiting_max }: Full) -> Self {
        Self::Full { waiting_max }
    }
}

/// A call that waits. Dropping it leaves the queue.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    granted: oneshot::Receiver<Grant>,
    queue: Queue,
}

/// The turn on its way to the one who was chosen.
#[derive(Debug)]
struct Grant {
    residency: Residency,
    choice: Choice,
    seat: Seat,
}

impl Queue {
    /// An empty queue. Needs a Tokio runtime.
    pub(crate) fn new(
        site: Site,
        room: Room,
        metrics: Arc<Metrics>,
        circuit: Option<Arc<Circuit>>,
    ) -> Self {
        let line = Mutex::new(Line {
            free: vec![Residency::unknown(Instant::now()); room.turns],
            waiting: BTreeMap::new(),
            outside: BTreeSet::new(),
            serving: BTreeMap::new(),
            bell: None,
            resident: None,
            let_go: Vec::new(),
            next_ticket: 0,
            turns: 0,
            asked: BTreeSet::new(),
            left_at: None,
            decides_at: None,
        });
        let runtime = Handle::current();
        Self(Arc::new(Inner { line, site, room, metrics, circuit, runtime }))
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn line_up(&self, seat: Seat) -> Result<Ticket, Full> {
        self.move_in(seat, None)
    }

    /// The same for one that may have waited outside, whose room is its own.
    ///
    /// # Errors
    /// [`Full`], if it had none here.
    pub(crate) fn move_in(&self, seat: Seat, outside: Option<Outside>) -> Result<Ticket, Full> {
        let mut line = self.lock();
        let had_room = outside.as_ref().is_some_and(|outside| outside.gives_up(self, &mut line));
        let goes_at_once = !line.free.is_empty() && line.waiting.is_empty();
        if !had_room && !goes_at_once {
            self.has_room(&line)?;
        }
        let number = line.number();
        let granted = self.enter(line, number, seat);
        // Without the lock, which it takes.
        drop(outside);
        Ok(Ticket { number, granted, queue: self.clone() })
    }

    fn has_room(&self, line: &Line) -> Result<(), Full> {
        let waiting_max = self.0.room.waiting_max;
        let waiting = line.waiting.len().saturating_add(line.outside.len());
        if waiting < waiting_max { Ok(()) } else { Err(Full { waiting_max }) }
    }

    /// Has a call wait, which goes at once if nobody has the turn and none is better.
    fn enter(
        &self,
        mut line: MutexGuard<'_, Line>,
        number: u64,
        seat: Seat,
    ) -> oneshot::Receiver<Grant> {
        let (grant, granted) = oneshot::channel();
        let _waits = self.0.metrics.waiting(seat.priority);
        line.waiting.insert(number, Waiter { seat, grant, _waits });
        if let Some(bell) = &line.bell {
            bell.notify_one();
        }
        let free = line.free.pop();
        drop(line);
        if let Some(residency) = free {
            self.hand_over(residency, None);
        }
        granted
    }

    /// Passes a turn on to the one the planner chooses, from the one with this ticket, if somebody had it. One who left in
    /// the same moment does not take it, so another is chosen; when nobody waits, or the lane lingers, it is free.
    fn hand_over(&self, mut residency: Residency, mut from: Option<u64>) {
        while let Some((grant, to)) = self.choose(residency, from) {
            match to.send(grant) {
                Ok(()) => break,
                Err(grant) => {
                    from = Some(grant.choice.ticket);
                    residency = grant.residency;
                }
            }
        }
    }

    fn choose(
        &self,
        mut residency: Residency,
        from: Option<u64>,
    ) -> Option<(Grant, oneshot::Sender<Grant>)> {
        let now = Instant::now();
        let mut line = self.lock();
        if let Some(from) = from {
            line.serving.remove(&from);
        }
        for key in std::mem::take(&mut line.let_go) {
            residency.let_go(&key);
        }
        line.resident = residency.shown();
        line.bell = None;
        let next = self.admits().then(|| {
            let waiting = line.waiting(&residency);
            planner::next(waiting, residency.usage(now), residency.swap_cost())
        });
        let chosen = match next.flatten() {
            Some(Next::Call(choice)) => {
                line.waiting.remove(&choice.ticket).map(|waiter| (choice, waiter))
            }
            Some(Next::Linger(left)) => {
                self.decide_at(&mut line, now + left);
                None
            }
            None => None,
        };
        let Some((choice, waiter)) = chosen else {
            line.free.push(residency);
            return None;
        };
        let Waiter { seat, grant, _waits } = waiter;
        line.turns += 1;
        if self.0.site == Site::Here {
            // Of the others nobody asks, and anybody could ask for any name.
            line.asked.insert(seat.key.model().clone());
        }
        line.serving.insert(choice.ticket, seat.key.clone());
        residency.grant_quantum(!choice.passes_over);
        Some((Grant { residency, choice, seat }, grant))
    }

    /// Has the free lane decide again at this instant. Whoever comes before makes it decide, too.
    fn decide_at(&self, line: &mut Line, at: Instant) {
        if line.decides_at.is_some_and(|earlier| earlier <= at) {
            return;
        }
        line.decides_at = Some(at);
        let queue = Arc::downgrade(&self.0);
        self.0.runtime.spawn(async move {
            tokio::time::sleep_until(at).await;
            let Some(queue) = queue.upgrade().map(Queue) else { return };
            let mut line = queue.lock();
            line.decides_at = None;
            let free = line.free.pop();
            drop(line);
            if let Some(residency) = free {
                queue.hand_over(residency, None);
            }
        });
    }

    /// Whether nobody has a turn.
    fn is_free(&self, line: &Line) -> bool {
        line.free.len() == self.0.room.turns
    }

    fn admits(&self) -> bool {
        self.0.circuit.as_ref().is_none_or(|circuit| circuit.admits())
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn number(&mut self) -> u64 {
        let number = self.next_ticket;
        self.next_ticket += 1;
        number
    }

    /// Those who wait, as the planner sees them.
    fn waiting(&self, residency: &Residency) -> impl Iterator<Item = Waiting> {
        self.waiting.iter().map(|(ticket, waiter)| waiter.seat.waits(*ticket, residency))
    }
}

impl Seat {
    fn waits(&self, ticket: u64, residency: &Residency) -> Waiting {
        let Self { key, rank, priority } = self;
        Waiting { swap: residency.swap_for(key), rank: *rank, priority: *priority, ticket }
    }
}

/// What those ask who wait, and those who serve them.
impl Queue {
    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether a call waits for the model of this runner, whatever its options.
    pub(crate) fn wants(&self, key: &RunnerKey) -> bool {
        self.lock().waiting.values().any(|waiter| waiter.seat.key.has_model_of(key))
    }

    /// Whether one who has a turn uses the model of this runner, whatever its options.
    pub(crate) fn serves(&self, key: &RunnerKey) -> bool {
        self.lock().serving.values().any(|served| served.has_model_of(key))
    }

    /// What is loaded.
    pub(crate) fn resident(&self) -> Option<Resident> {
        self.lock().resident.clone()
    }

    /// Whether Ollama is not known to be ill.
    pub(crate) fn is_well(&self) -> bool {
        self.0.circuit.as_ref().is_none_or(|circuit| circuit.error().is_none())
    }

    /// Waits until Ollama is not known to be ill, but no longer than for `patience`.
    ///
    /// # Errors
    /// [`LlmError::Unwell`].
    pub(crate) async fn well_within(&self, patience: Duration) -> Result<(), LlmError> {
        let Some(circuit) = &self.0.circuit else { return Ok(()) };
        match tokio::time::timeout(patience, circuit.mended()).await {
            Ok(()) => Ok(()),
            Err(_elapsed) => circuit.error().map_or(Ok(()), Err),
        }
    }

    /// How many turns there have been, if nobody has one now.
    pub(crate) fn quiet(&self) -> Option<u64> {
        let line = self.lock();
        self.is_free(&line).then_some(line.turns)
    }

    /// What its calls have done to Ollama.
    pub(crate) fn doings(&self) -> Doings {
        let mut line = self.lock();
        let asked = std::mem::take(&mut line.asked);
        // Whoever has the turn may still load its model.
        let serving: Vec<ModelId> = line.serving.values().map(|key| key.model().clone()).collect();
        line.asked.extend(serving);
        let Line { turns, left_at, .. } = *line;
        Doings { turns, is_free: self.is_free(&line), asked, left_at }
    }

    /// Takes in what Ollama had loaded, if nobody has had the turn since there had been so many.
    pub(crate) fn observe(&self, turns: u64, loaded: Vec<Loaded>) {
        let mut line = self.lock();
        if line.turns != turns {
            return;
        }
        let Line { free, resident, .. } = &mut *line;
        let Some(residency) = free.last_mut() else { return };
        residency.observe(loaded, Instant::now());
        *resident = residency.shown();
    }

    /// Ollama is told to let go of the model of this runner, which nobody here uses. Whoever has the turn next knows.
    pub(crate) fn let_go(&self, key: &RunnerKey) {
        let mut line = self.lock();
        let Line { free, resident, let_go, .. } = &mut *line;
        if let Some(residency) = free.last_mut() {
            residency.let_go(key);
            *resident = residency.shown();
        } else if !let_go.iter().any(|known| known.has_model_of(key)) {
            let_go.push(key.clone());
        }
    }

    /// The turn, if nobody has it, whoever waits and whether calls go or not: for a pulse, or to keep it from others.
    pub(crate) fn vacant(&self) -> Option<Turn> {
        let mut line = self.lock();
        let residency = line.free.pop()?;
        line.turns += 1;
        drop(line);
        // Behind everybody: nobody would give way to it.
        let key = RunnerKey::default();
        let seat = Seat { key, rank: Millis(i64::MAX), priority: Priority::NORMAL };
        Some(Turn::new(residency, Reason::Loaded, seat, u64::MAX, self.clone()))
    }

    /// The place by rank of the one with this ticket, from 1; none once it does not wait any more. What
    /// is loaded decides too, so a call may go sooner or later than its place says.
    pub(crate) fn position(&self, ticket: u64) -> Option<usize> {
        let line = self.lock();
        let own = line.waiting.get(&ticket)?.seat.rank;
        let before =
            |(number, waiter): &(&u64, &Waiter)| (waiter.seat.rank, **number) < (own, ticket);
        Some(line.waiting.iter().filter(before).count() + 1)
    }
}

impl Ticket {
    /// What [`Queue::position`] knows it by.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Waits until it is its turn, but, while Ollama is ill, no longer than for `patience`.
    ///
    /// # Errors
    /// [`LlmError::Unwell`].
    pub(crate) async fn turn_unless_ill(self, patience: Duration) -> Result<Turn, LlmError> {
        let Some(circuit) = self.queue.0.circuit.clone() else { return Ok(self.turn().await) };
        tokio::select! {
            biased;
            turn = self.turn() => Ok(turn),
            error = circuit.given_up(patience) => Err(error),
        }
    }

    /// Waits until it is its turn.
    pub(crate) async fn turn(mut self) -> Turn {
        let Ok(Grant { residency, choice, seat }) = (&mut self.granted).await else {
            // Its sender waits in the queue for as long as this ticket lives.
            return std::future::pending().await;
        };
        let queue = self.queue.clone();
        if choice.passes_over {
            queue.0.metrics.swap_avoided();
        }
        Turn::new(residency, choice.reason, seat, self.number, queue)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.lock().waiting.remove(&self.number);
        // From here on nothing can be granted; what was granted and not taken goes to the next one.
        self.granted.close();
        if let Ok(grant) = self.granted.try_recv() {
            self.queue.hand_over(grant.residency, Some(self.number));
        }
    }
}

#[cfg(test)]
mod tests;
