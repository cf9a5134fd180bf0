//! A job as it is kept, with what only the store knows.

use std::collections::BTreeSet;

use roughneck_jobs::{
    clock::Millis,
    event::JobEvent,
    flow::{Member, Need},
    id::JobId,
    input_key::{ConcurrencyKey, UniqueKey},
    job::{Attempt, Job, NewJob},
    lifecycle::Progress,
    preference::Candidate,
    run::{LOSSES_MAX, Run},
    state::State,
};

/// Where a child comes from.
pub(crate) struct Birth {
    pub(crate) parent: JobId,
    pub(crate) name: String,
    /// The run of the parent that submitted it last.
    pub(crate) submitted_by: i64,
}

/// A job.
pub(crate) struct Row {
    pub(crate) job: Job,
    /// The model it asks for, if that is known.
    pub(crate) model: Option<String>,
    /// Of its present or last run.
    pub(crate) token: i64,
    /// Of the last run before the last retry on request.
    pub(crate) retry_token: i64,
    pub(crate) lease_until: Millis,
    /// Whether it is blocked because its concurrency key is taken.
    pub(crate) is_parked: bool,
    pub(crate) concurrency: Option<ConcurrencyKey>,
    pub(crate) unique: Option<UniqueKey>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) needs: Vec<Need>,
    /// Where it comes from, if it is a child.
    pub(crate) birth: Option<Birth>,
    pub(crate) depth: u32,
    /// The children that it waits for, if it is blocked.
    pub(crate) awaited: BTreeSet<JobId>,
    /// Its place in its flow.
    pub(crate) place: u32,
    pub(crate) events: Vec<JobEvent>,
    pub(crate) attempts: Vec<Attempt>,
}

impl Row {
    /// A job that was accepted, and whose runs have higher tokens than `floor`.
    pub(crate) fn new(new: &NewJob, floor: i64) -> Self {
        let needs = new.member.as_ref().map_or_else(Vec::new, |member| member.needs.clone());
        let mut row = Self {
            job: job(new, &needs),
            model: new.model.clone(),
            token: floor,
            retry_token: floor,
            lease_until: Millis::default(),
            is_parked: false,
            concurrency: new.concurrency.clone(),
            unique: new.unique.clone(),
            idempotency_key: new.idempotency_key.clone(),
            needs,
            birth: None,
            depth: 0,
            awaited: BTreeSet::new(),
            place: new.member.as_ref().map_or(0, |member| member.place),
            events: Vec::new(),
            attempts: Vec::new(),
        };
        row.tell(new.enqueued_at, 0);
        row
    }

    /// Its name among the children of its parent.
    pub(crate) fn name(&self) -> Option<&String> {
        self.birth.as_ref().map(|birth| &birth.name)
    }

    pub(crate) fn is_child_of(&self, parent: JobId) -> bool {
        self.birth.as_ref().is_some_and(|birth| birth.parent == parent)
    }

    pub(crate) fn candidate(&self) -> Candidate {
        Candidate { id: self.job.id, model: self.model.clone(), priority: self.job.priority }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            state: self.job.state,
            attempt: self.job.attempt,
            losses: self.job.losses,
            losses_max: LOSSES_MAX,
        }
    }

    pub(crate) fn run(&self) -> Run {
        Run { job: self.job.id, token: self.token }
    }

    pub(crate) fn is_held_by(&self, run: Run) -> bool {
        self.token == run.token && self.job.state.is_running()
    }

    /// How many needed jobs are not over, of one that is blocked by them.
    pub(crate) fn waits(&self) -> u32 {
        self.job.member.as_ref().map_or(0, |member| member.waits)
    }

    /// Writes down the state that it is in now.
    pub(crate) fn tell(&mut self, at: Millis, attempt: u32) {
        let seq = self.events.last().map_or(0, |event| event.seq) + 1;
        let Job { state, reason, .. } = &self.job;
        self.events.push(JobEvent { seq, at, state: *state, attempt, reason: reason.clone() });
    }
}

fn job(new: &NewJob, needs: &[Need]) -> Job {
    let state = if !needs.is_empty() {
        State::Blocked
    } else if new.run_at > new.enqueued_at {
        State::Scheduled
    } else {
        State::Queued
    };
    Job {
        member: new.member.as_ref().map(|member| Member {
            flow: member.flow,
            name: member.name.clone(),
            waits: u32::try_from(needs.len()).unwrap_or(u32::MAX),
        }),
        ..Job::accepted(new, state, new.input.clone())
    }
}
