//! A move that was decided and is to be written.

use roughneck_jobs::{input_key::ConcurrencyKey, job::Job, lifecycle, state::State, step::Step};

use crate::{fault::Fault, row::Held};

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
    /// Its runs since it was accepted or last retried.
    pub(crate) runs: i64,
    /// How many jobs are above it.
    pub(crate) depth: u32,
    /// How the attempt ended, if one did.
    pub(crate) outcome: Option<&'static str>,
    /// What is left of the step: for the attempt.
    pub(crate) step: Step,
}

impl Moved {
    /// Decides what a step makes of a job that was read in this transaction.
    pub(crate) fn by(mut step: Step, held: Held) -> Result<Self, Fault> {
        let next = lifecycle::advance(&held.progress(), step.event)?;
        let Held { mut job, token, retry_token, concurrency, depth, .. } = held;
        let runs = token - retry_token;
        let from = job.state;
        // A loss gives the number of its attempt back. A retry on request belongs to none.
        let attempt = if step.is_retry_on_request() { 0 } else { job.attempt.max(next.attempt) };
        step.apply(&mut job, next);
        let ended = from.is_running() && !job.state.is_running();
        let outcome = if ended { step.outcome() } else { None };
        Ok(Self { job, token, from, attempt, concurrency, runs, depth, outcome, step })
    }
}
