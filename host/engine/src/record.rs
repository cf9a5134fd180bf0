//! One run's record: what it shows, what it cost, and how it stands. The run's side of it is the
//! port [`Supervisor`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use roughneck_jobs::{
    causes::Causes,
    clock::{Clock, Millis},
    delivery::Notice,
    event::Live,
    id::JobId,
    job::LogLine,
    ports::{
        bell::{Bell, Change},
        runner::{Standing, Supervisor},
        store::{Claimed, Store},
    },
    run::{LEASE_MS, Run},
    usage::Usage,
};
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use crate::{Bells, Metrics, Parts};

/// Text of a run that late watchers can still read, in bytes.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// What a finished run leaves.
pub(crate) struct Left {
    pub(crate) usage: Usage,
    pub(crate) log: Vec<LogLine>,
    pub(crate) notices: Vec<Notice>,
}

pub(crate) struct Record {
    job: JobId,
    /// 0 while the store has not yet handed the job out.
    token: AtomicI64,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    bells: Arc<Bells>,
    metrics: Metrics,
    /// When the dispatcher heard of the claim.
    began_at: Instant,
    standing: watch::Sender<Standing>,
    /// Monotonic, so that a change of the wall clock neither prolongs nor ends a lease. None before the first.
    lease_ends: watch::Sender<Option<Instant>>,
    /// The deadline of its job, by the wall clock.
    deadline: Option<Millis>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Live,
    usage: Usage,
    log: Vec<LogLine>,
    notices: Vec<Notice>,
}

impl Record {
    /// The record of a claim that was asked for at `claimed_at`, which is when its lease began.
    pub(crate) fn new(claimed: &Claimed, claimed_at: Instant, parts: &Parts) -> Arc<Self> {
        let record = Self::waiting(claimed.run.job, claimed.job.deadline, parts);
        record.begin(claimed.run, claimed.job.attempt, claimed_at);
        record
    }

    /// The record of a run whose job the store has not yet handed out.
    pub(crate) fn waiting(job: JobId, deadline: Option<Millis>, parts: &Parts) -> Arc<Self> {
        Arc::new(Self {
            job,
            token: AtomicI64::new(0),
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            bells: Arc::clone(&parts.bells),
            metrics: parts.metrics.clone(),
            began_at: Instant::now(),
            standing: watch::Sender::new(Standing::Held),
            lease_ends: watch::Sender::new(None),
            deadline,
            state: Mutex::default(),
        })
    }

    /// The store has handed the job out; it was asked for it at `asked_at`.
    pub(crate) fn begin(&self, run: Run, attempt: u32, asked_at: Instant) {
        {
            let mut state = self.state();
            state.live.run = run.token;
            state.live.attempt = attempt;
        }
        self.renewed(asked_at);
        self.token.store(run.token, Ordering::Release);
    }

    pub(crate) fn run(&self) -> Run {
        Run { job: self.job, token: self.token.load(Ordering::Acquire) }
    }

    /// The lease was renewed at `at`.
    pub(crate) fn renewed(&self, at: Instant) {
        self.lease_ends.send_replace(Some(at + Duration::from_millis(LEASE_MS)));
    }

    /// Whether its lease has run out by the clock of this host. That alone is no loss: a host that was frozen may
    /// renew it, if it asks before anybody else takes the job.
    fn has_lapsed(&self) -> bool {
        self.lease_ends.borrow().is_some_and(|ends| Instant::now() >= ends)
    }

    /// The store could not be asked to renew its lease: stops the run if it has run out.
    pub(crate) fn expire(&self) {
        if self.has_lapsed() {
            self.abort(Standing::Fenced);
        }
    }

    /// Whether it was told that it has lost its job. It stays so, whatever the store would say.
    pub(crate) fn is_fenced(&self) -> bool {
        *self.standing.borrow() == Standing::Fenced
    }

    /// Whether the deadline of its job has passed, whatever the store knows of it yet.
    fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= self.clock.now())
    }

    /// Returns at the deadline of its job, if it has one.
    pub(crate) async fn overdue(&self) -> Millis {
        let Some(deadline) = self.deadline else { return std::future::pending().await };
        while !self.is_overdue() {
            let left_ms = deadline.since_ms(self.clock.now());
            tokio::time::sleep(Duration::from_millis(left_ms)).await;
        }
        deadline
    }

    /// Stops the run at once, for this reason. The first reason stands.
    pub(crate) fn abort(&self, standing: Standing) {
        self.standing.send_if_modified(|present| {
            let first = *present == Standing::Held;
            if first {
                *present = standing;
            }
            first
        });
    }

    /// Returns once the run must stop, with the reason.
    pub(crate) async fn aborted(&self) -> Standing {
        let mut standing = self.standing.subscribe();
        match standing.wait_for(|standing| *standing != Standing::Held).await {
            Ok(standing) => *standing,
            // The sender is ours: it outlives this call.
            Err(_) => Standing::Fenced,
        }
    }

    pub(crate) fn live(&self) -> Live {
        self.state().live.clone()
    }

    /// Takes what the run leaves. The record shows nothing of it afterwards.
    pub(crate) fn take(&self) -> Left {
        let mut state = self.state();
        Left {
            usage: state.usage,
            log: std::mem::take(&mut state.log),
            notices: std::mem::take(&mut state.notices),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.bells.ring(Change::Job(self.job));
    }
}

#[async_trait]
impl Supervisor for Record {
    fn standing(&self) -> Standing {
        let standing = *self.standing.borrow();
        match standing {
            Standing::Held | Standing::Stopping if self.is_overdue() => Standing::Overdue,
            Standing::Held
            | Standing::Stopping
            | Standing::Cancelled
            | Standing::Fenced
            | Standing::Overdue => standing,
        }
    }

    async fn confirmed(&self) -> Standing {
        if !self.has_lapsed() {
            return self.standing();
        }
        let (mut lease, mut told) = (self.lease_ends.subscribe(), self.standing.subscribe());
        loop {
            match self.standing() {
                Standing::Held | Standing::Stopping if self.has_lapsed() => {}
                standing @ (Standing::Held
                | Standing::Stopping
                | Standing::Cancelled
                | Standing::Fenced
                | Standing::Overdue) => return standing,
            }
            // Has the heartbeat ask for all at once.
            self.bells.ring(Change::Runs);
            // Both senders are ours: they outlive this call.
            tokio::select! {
                _ = lease.changed() => {}
                _ = told.changed() => {}
            }
        }
    }

    fn began(&self) {
        self.metrics.overhead.observe(self.began_at.elapsed().as_secs_f64());
    }

    async fn loading(&self, loading: bool) {
        if let Err(error) = self.store.set_loading(self.run(), loading, self.clock.now()).await {
            warn!(job = %self.job, error = %Causes(&error), "the loading state of job {} was not kept", self.job);
        }
    }

    async fn gave_way(&self) {
        if let Err(error) = self.store.gave_way(self.run(), self.clock.now()).await {
            warn!(job = %self.job, error = %Causes(&error), "that the call of job {} gave way was not kept", self.job);
        }
    }

    fn text(&self, piece: &str) {
        append(&mut self.state().live, piece);
        self.ring();
    }

    fn retract(&self) {
        retract(&mut self.state().live);
    }

    fn progress(&self, percent: Option<u8>, note: String) {
        {
            let mut state = self.state();
            state.live.percent = percent;
            state.live.note = note;
            state.live.reports += 1;
        }
        self.ring();
    }

    fn log(&self, line: LogLine) {
        self.state().log.push(line);
    }

    fn spent(&self, usage: &Usage) {
        self.state().usage.add(usage);
    }

    fn notify(&self, notice: Notice) {
        self.state().notices.push(notice);
    }
}

/// Adds to the live text and drops whole characters at its front once it is full.
fn append(live: &mut Live, piece: &str) {
    live.text.push_str(piece);
    if live.text.len() > TEXT_BYTES_MAX {
        // Half is dropped, so that a long answer is not moved with every piece.
        let cut = live.text.ceil_char_boundary(live.text.len() - TEXT_BYTES_MAX / 2);
        live.text.drain(..cut);
        live.text_from += cut as u64;
    }
}

/// Drops the text. The offsets go on, so that a watcher who has seen it is sent all that comes after.
fn retract(live: &mut Live) {
    live.text_from += live.text.len() as u64;
    live.text.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_text_stays_bounded_and_its_offsets_stay_true() {
        let mut live = Live::default();
        let mut whole = String::new();
        for n in 0..60_000 {
            let piece = format!("ä{n} ");
            whole.push_str(&piece);
            append(&mut live, &piece);
        }
        assert!(live.text.len() <= TEXT_BYTES_MAX);
        assert_eq!(whole.get(usize::try_from(live.text_from).unwrap()..), Some(live.text.as_str()));
    }

    #[test]
    fn text_that_is_void_is_not_shown_and_what_follows_is_new_to_everybody() {
        let mut live = Live::default();
        append(&mut live, "half an ans");
        retract(&mut live);
        assert_eq!((live.text.as_str(), live.text_from), ("", 11));
        append(&mut live, "an answer");
        assert_eq!((live.text.as_str(), live.text_from), ("an answer", 11));
    }
}
