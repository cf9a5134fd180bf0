//! What happens to a job, and what it leaves behind.

use roughneck_jobs::{
    clock::Millis,
    deadline,
    failure::{Failure, code},
    input_key::ConcurrencyKey,
    job::{Job, LogLine},
    lifecycle::{self, Event, Move},
    state::State,
    usage::Usage,
};

use crate::{fault::Fault, row::Held};

/// What happens to a job.
pub(crate) struct Step {
    pub(crate) event: Event,
    pub(crate) at: Millis,
    /// Why, for people.
    pub(crate) reason: Option<String>,
    /// The result, with [`Event::Succeeded`].
    pub(crate) output: Option<String>,
    /// What went wrong; it replaces the failure of an earlier attempt.
    pub(crate) failure: Option<Failure>,
    /// Digest of the plugin that ran.
    pub(crate) plugin: Option<String>,
    /// What the run cost.
    pub(crate) usage: Usage,
    pub(crate) log: Vec<LogLine>,
    /// With [`Event::ReplayedBlocked`], how many jobs of its flow it waits for.
    pub(crate) waits: u32,
}

/// A move that was decided and is to be written.
pub(crate) struct Moved {
    /// The job after it.
    pub(crate) job: Job,
    /// The run the decision was made on, and the state.
    pub(crate) token: i64,
    pub(crate) from: State,
    /// The attempt the move belongs to; 0 for none.
    pub(crate) attempt: u32,
    /// What only some jobs share while they run.
    pub(crate) concurrency: Option<ConcurrencyKey>,
    /// How many jobs are above it.
    pub(crate) depth: u32,
    /// How the attempt ended, if one did.
    pub(crate) outcome: Option<&'static str>,
    /// What is left of the step: for the attempt.
    pub(crate) step: Step,
}

impl Step {
    /// A step without a word.
    pub(crate) fn new(event: Event, at: Millis) -> Self {
        Self {
            event,
            at,
            reason: None,
            output: None,
            failure: None,
            plugin: None,
            usage: Usage::default(),
            log: Vec::new(),
            waits: 0,
        }
    }

    /// A step with a reason for people.
    pub(crate) fn because(event: Event, at: Millis, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..Self::new(event, at) }
    }

    /// A step of a job that fails without having run.
    pub(crate) fn failed(event: Event, at: Millis, failure: Failure) -> Self {
        let step = Self::because(event, at, &failure.message);
        Self { failure: Some(failure), ..step }
    }

    /// Decides the move of a job that was read in this transaction.
    pub(crate) fn decide(mut self, held: Held) -> Result<Moved, Fault> {
        let next = lifecycle::advance(&held.progress(), self.event)?;
        let Held { token, concurrency, depth, .. } = held;
        let from = held.job.state;
        // A loss gives the number of its attempt back. A replay belongs to none.
        let replayed = matches!(self.event, Event::Replayed | Event::ReplayedBlocked);
        let attempt = if replayed { 0 } else { held.job.attempt.max(next.attempt) };
        let job = self.applied_to(held.job, next);
        let ended = from.is_running() && !job.state.is_running();
        let outcome = if ended { outcome(self.event) } else { None };
        Ok(Moved { job, token, from, attempt, concurrency, depth, outcome, step: self })
    }

    /// The job after the move. The rank is not among what changes.
    fn applied_to(&mut self, mut job: Job, next: Move) -> Job {
        if self.event == Event::Lost && next.state == State::Failed {
            let poison = poison(next.losses);
            self.reason = Some(poison.message.clone());
            self.failure = Some(poison);
        }
        if let (Event::DeadlinePassed, Some(at)) = (self.event, job.deadline) {
            let passed = deadline::passed(job.state, at, job.failure.as_ref());
            self.reason = Some(passed.message.clone());
            self.failure = Some(passed);
        }
        let is_ready = matches!(
            self.event,
            Event::Replayed | Event::ReplayedBlocked | Event::Unblocked { .. }
        );
        if next.state == State::Scheduled || is_ready {
            job.run_at = self.at.plus_ms(next.delay_ms);
        }
        if matches!(self.event, Event::Replayed | Event::ReplayedBlocked) {
            job.deadline = None;
        }
        job.state = next.state;
        job.attempt = next.attempt;
        job.losses = next.losses;
        job.finished_at = next.state.is_terminal().then_some(self.at);
        job.reason = self.reason.take();
        job.output = self.output.take();
        if next.state == State::Done {
            job.failure = None;
        } else if self.failure.is_some() {
            job.failure.clone_from(&self.failure);
        }
        if let Some(member) = &mut job.member {
            member.waits = self.waits;
        }
        job.usage.add(&self.usage);
        if self.plugin.is_some() {
            job.plugin = self.plugin.take();
        }
        job
    }
}

fn poison(losses: u32) -> Failure {
    Failure::fatal(
        code::POISON,
        format!("the host died or lost its lease {losses} times while it ran this job"),
    )
}

/// How an attempt ended that ended with `event`.
fn outcome(event: Event) -> Option<&'static str> {
    match event {
        Event::Succeeded => Some("done"),
        Event::FailedForNow { .. } | Event::FailedForGood | Event::DeadlinePassed => Some("failed"),
        Event::Postponed { .. } => Some("postponed"),
        Event::Lost => Some("lost"),
        Event::Released | Event::AwaitsChildren { .. } => Some("released"),
        Event::Cancelled => Some("cancelled"),
        Event::Due
        | Event::Claimed
        | Event::Parked
        | Event::Unparked
        | Event::ModelLoading
        | Event::ModelReady
        | Event::Replayed
        | Event::ReplayedBlocked
        | Event::Unblocked { .. }
        | Event::DependencyFailed => None,
    }
}
