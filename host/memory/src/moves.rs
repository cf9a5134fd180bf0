//! The one place that moves jobs.

use roughneck_jobs::{
    id::JobId,
    job::{Attempt, Job},
    lifecycle::{Event, advance},
    ports::{bell::Change, store::StoreError},
    state::State,
    step::Step,
};

use crate::{row::Row, tables::Tables};

impl Tables {
    /// Moves a job, if its state allows it, and what depends on it. Returns the state it led to.
    pub(crate) fn make(&mut self, id: JobId, step: Step) -> Result<State, StoreError> {
        let at = step.at;
        let state = self.make_alone(id, step)?;
        if state.is_terminal() {
            self.follow(id, at)?;
            self.follow_family(id, at)?;
        }
        Ok(state)
    }

    /// Moves a job whose dependents are somebody else's to move.
    pub(crate) fn make_alone(&mut self, id: JobId, mut step: Step) -> Result<State, StoreError> {
        let row = self.row(id)?;
        let next = advance(&row.progress(), step.event)?;
        let from = row.job.state;
        // A loss gives the number of its attempt back. A retry on request belongs to none.
        let attempt =
            if step.is_retry_on_request() { 0 } else { row.job.attempt.max(next.attempt) };
        step.apply(&mut row.job, next);
        if step.is_retry_on_request() {
            row.retry_token = row.token;
        }
        row.is_parked = step.event == Event::Parked;
        // A key without an end in time is the job's until its own end.
        if row.job.state.is_terminal() && row.unique.as_ref().is_some_and(|it| it.until.is_none()) {
            row.unique = None;
        }
        row.tell(step.at, attempt);
        let has_ended = from.is_running() && !row.job.state.is_running();
        if has_ended {
            close(row, &step);
        }
        let job = row.job.clone();
        let key = row.concurrency.clone().filter(|_| leaves_its_key(from, job.state, step.event));
        if job.state.is_terminal() {
            self.call_back(&job, step.at);
        }
        if has_ended {
            self.changes.push(Change::Class(job.class.clone()));
        }
        self.ring(&job);
        if let Some(key) = key {
            self.unpark(&key.key, step.at)?;
        }
        Ok(job.state)
    }

    fn ring(&mut self, job: &Job) {
        self.changes.push(Change::Job(job.id));
        match job.state {
            State::Queued => self.changes.push(Change::Class(job.class.clone())),
            State::Scheduled => self.changes.push(Change::Due),
            State::Blocked
            | State::Loading
            | State::Working
            | State::Done
            | State::Failed
            | State::Cancelled => {}
        }
    }
}

/// Whether the job stood for its key and does so no more. One that is queued again does; one that is parked
/// found the key taken.
fn leaves_its_key(from: State, to: State, event: Event) -> bool {
    let stands = |state: State| state == State::Queued || state.is_running();
    stands(from) && !stands(to) && event != Event::Parked
}

fn close(row: &mut Row, step: &Step) {
    let token = row.token;
    let is_open = |attempt: &&mut Attempt| attempt.run == token && attempt.finished_at.is_none();
    if let Some(attempt) = row.attempts.iter_mut().find(is_open) {
        attempt.finished_at = Some(step.at);
        attempt.outcome = step.outcome().map(str::to_owned);
        attempt.failure.clone_from(&step.failure);
        attempt.usage = step.usage;
        attempt.log.clone_from(&step.log);
    }
}
