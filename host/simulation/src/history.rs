//! What was asked of the store, what it answered, and what was seen, in the order in which it happened.

use std::collections::BTreeMap;

use roughneck_jobs::{
    class::Class,
    clock::Millis,
    flow::Need,
    id::{DeliveryId, FlowId, JobId},
    input_key::ConcurrencyKey,
    pause::{Pause, Scope},
    ports::store::{Cancelled, Retried, Submitted},
    run::Run,
    schedule::{Fire, Spec},
    state::State,
};

/// All that happened, in all lives. A position is the number of things that happened before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    next: usize,
    pub(crate) calls: Vec<Call>,
    pub(crate) moments: Vec<(usize, Moment)>,
    /// The calls that may have queued jobs again.
    retries: Vec<usize>,
    /// Whether dead letters may have been deleted, so that a job of the same id is another one.
    is_purged: bool,
    /// The flows of jobs.
    flows: BTreeMap<JobId, FlowId>,
}

/// One call of the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// When it was asked for.
    pub(crate) asked: usize,
    /// When it was answered; [`NEVER`] if the host died before.
    pub(crate) answered: usize,
    pub(crate) request: Request,
    pub(crate) answer: Answer,
}

/// After everything.
pub(crate) const NEVER: usize = usize::MAX;

/// A job that somebody wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) id: JobId,
    pub(crate) idempotency_key: Option<String>,
    /// Of which only one job may be active.
    pub(crate) unique: Option<String>,
    pub(crate) concurrency: Option<ConcurrencyKey>,
    pub(crate) has_callback: bool,
    /// Its flow, and what it needs of it.
    pub(crate) flow: Option<FlowId>,
    pub(crate) needs: Vec<Need>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Submit(Wanted),
    SubmitFlow(Vec<Wanted>),
    /// The fires of a schedule.
    Settle(Vec<Wanted>),
    Pause(Pause),
    Resume(Scope),
    Claim(Class),
    /// A write of a run.
    Write(Run, Write),
    Cancel(JobId),
    CancelFlow(FlowId),
    Retry(JobId),
    RetryFlow(FlowId),
    RetryDead,
    PurgeDead,
    Recover,
    Reap,
    FailOverdue,
}

/// A write of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// The end of the run and of its job.
    End,
    /// The end of the run; the job will run again.
    GiveBack,
    /// Its model is being loaded, or is loaded.
    Loading,
    /// State of the plugin.
    KeyValue,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Nothing, or an error that tells nothing.
    Unknown,
    Submitted(Submitted),
    /// These jobs were submitted, or had been before.
    Accepted(Vec<JobId>),
    Claimed(Vec<Taken>),
    /// The write is kept.
    Kept,
    /// The run does not hold its job.
    Fenced,
    Cancelled(Cancelled),
    Retried(Retried),
    /// So many jobs.
    Jobs(u32),
    /// These runs have lost their jobs.
    Lost(Vec<Run>),
}

/// A job that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) run: Run,
    pub(crate) kind: String,
    /// What the clock showed.
    pub(crate) at: Millis,
    pub(crate) deadline: Option<Millis>,
    pub(crate) attempt: u32,
    pub(crate) attempts_max: u32,
    pub(crate) losses: u32,
}

/// A job as a reader saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: JobId,
    pub(crate) class: Class,
    pub(crate) state: State,
    /// It is blocked because its concurrency key is taken.
    pub(crate) is_parked: bool,
    /// Needed jobs that are not over, as it says.
    pub(crate) waits: u32,
    pub(crate) fire: Option<Fire>,
    pub(crate) deadline: Option<Millis>,
    pub(crate) finished_at: Option<Millis>,
    pub(crate) attempt: u32,
    pub(crate) attempts_max: u32,
    pub(crate) losses: u32,
}

/// What happened besides the calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Moment {
    /// A host is ready.
    Started,
    /// It is dead, or has stopped.
    Ended,
    /// A run took its first step.
    Began(Run),
    /// A run that believed to hold its job did something to the world.
    Acted(Run),
    /// A run did so although the deadline of its job had passed.
    ActedLate(Run),
    /// A run failed for having lost its job, and that was kept as a failure of its plugin.
    Blamed(Run),
    /// A receiver got a webhook.
    Received(DeliveryId),
    /// All jobs, in one read.
    Looked(Vec<Seen>),
    /// All jobs, in the end.
    Settled(Vec<Seen>),
    /// In the end: how often a job ended, and the webhooks that were to tell it.
    Told { job: JobId, ends: usize, deliveries: Vec<DeliveryId> },
    /// A schedule was made.
    Made(Spec, Millis),
    /// Somebody wanted it changed, paused, resumed or deleted.
    Touched(String),
    /// Every schedule had ample time to handle all fires up to here.
    Caught(Millis),
    /// From here on each class has more work than slots.
    Crowded,
}

impl History {
    /// A call is made. Returns its number.
    pub(crate) fn ask(&mut self, request: Request) -> usize {
        if let Request::SubmitFlow(wanted) = &request {
            self.flows.extend(wanted.iter().filter_map(|job| Some((job.id, job.flow?))));
        }
        self.is_purged |= request == Request::PurgeDead;
        if request.may_retry(self.is_purged) {
            self.retries.push(self.calls.len());
        }
        let call = Call { asked: self.place(), answered: NEVER, request, answer: Answer::Unknown };
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// It is answered.
    pub(crate) fn answer(&mut self, number: usize, answer: Answer) {
        let answered = self.place();
        if let Some(call) = self.calls.get_mut(number) {
            (call.answered, call.answer) = (answered, answer);
        }
    }

    pub(crate) fn note(&mut self, moment: Moment) {
        let at = self.place();
        self.moments.push((at, moment));
    }

    fn place(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// How many hosts lived.
    #[must_use]
    pub fn lives(&self) -> usize {
        self.moments.iter().filter(|(_, moment)| *moment == Moment::Ended).count()
    }

    /// How many jobs were handed out.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.taken().count()
    }

    /// How many flows were accepted, those included that had been before.
    #[must_use]
    pub fn flows(&self) -> usize {
        let flows = self.calls.iter().filter(|call| matches!(call.request, Request::SubmitFlow(_)));
        flows.filter(|call| call.answer != Answer::Unknown).count()
    }

    /// How many jobs schedules submitted.
    #[must_use]
    pub fn fires(&self) -> usize {
        let settled = self.calls.iter().filter(|call| matches!(call.request, Request::Settle(_)));
        let jobs = settled.map(|call| match &call.answer {
            Answer::Accepted(jobs) => jobs.len(),
            Answer::Unknown
            | Answer::Submitted(_)
            | Answer::Claimed(_)
            | Answer::Kept
            | Answer::Fenced
            | Answer::Cancelled(_)
            | Answer::Retried(_)
            | Answer::Jobs(_)
            | Answer::Lost(_) => 0,
        });
        jobs.sum()
    }

    /// How many jobs had a deadline, and were not over by then.
    #[must_use]
    pub fn overdue(&self) -> usize {
        let settled = self.moments.iter().filter_map(|(_, moment)| {
            let Moment::Settled(seen) = moment else { return None };
            let is_late = |job: &&Seen| job.deadline.is_some() && job.finished_at >= job.deadline;
            Some(seen.iter().filter(is_late).count())
        });
        settled.sum()
    }

    /// Every job that was handed out, with the call that did.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&Call, &Taken)> {
        let claims = self.calls.iter().filter_map(|call| {
            let Answer::Claimed(taken) = &call.answer else { return None };
            Some(taken.iter().map(move |one| (call, one)))
        });
        claims.flatten()
    }

    /// Every run whose job was handed out again.
    pub(crate) fn superseded(&self) -> Vec<Run> {
        let is_old = |run: Run| {
            self.taken().any(|(_, later)| later.run.job == run.job && later.run.token > run.token)
        };
        self.taken().map(|(_, taken)| taken.run).filter(|run| is_old(*run)).collect()
    }

    /// Every job that somebody submitted.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.calls.iter().flat_map(|call| match &call.request {
            Request::Submit(wanted) => std::slice::from_ref(wanted),
            Request::SubmitFlow(wanted) | Request::Settle(wanted) => wanted,
            Request::Pause(_)
            | Request::Resume(_)
            | Request::Claim(_)
            | Request::Write(..)
            | Request::Cancel(_)
            | Request::CancelFlow(_)
            | Request::Retry(_)
            | Request::RetryFlow(_)
            | Request::RetryDead
            | Request::PurgeDead
            | Request::Recover
            | Request::Reap
            | Request::FailOverdue => &[],
        })
    }

    /// Every read of all jobs.
    pub(crate) fn looks(&self) -> impl Iterator<Item = (usize, &[Seen])> {
        self.moments.iter().filter_map(|(at, moment)| {
            let (Moment::Looked(seen) | Moment::Settled(seen)) = moment else { return None };
            Some((*at, seen.as_slice()))
        })
    }

    /// Whether the job may have been given back to the queue between the two positions, on request, or be another
    /// one of the same id.
    pub(crate) fn may_be_retried(&self, job: JobId, from: usize, until: usize) -> bool {
        let retries = self.retries.iter().filter_map(|number| self.calls.get(*number));
        let mut between = retries.filter(|call| call.answered > from && call.asked < until);
        between.any(|call| self.may_retry(call, job))
    }

    /// Whether a call may have queued this job again although it had ended.
    fn may_retry(&self, call: &Call, job: JobId) -> bool {
        let is_refused =
            matches!(call.answer, Answer::Retried(Retried::Unchanged(_) | Retried::NobodyWaits));
        let flow = self.flows.get(&job);
        match &call.request {
            Request::RetryDead => true,
            // It may have been deleted in between.
            Request::Submit(wanted) => {
                let is_known = matches!(call.answer, Answer::Submitted(Submitted::Existing(_)));
                wanted.id == job && !is_known
            }
            Request::SubmitFlow(wanted) => wanted.iter().any(|wanted| wanted.id == job),
            Request::RetryFlow(id) => flow == Some(id),
            // What failed because of a job of a flow comes back with it.
            Request::Retry(id) => {
                let is_of_flow = flow.is_some() && self.flows.get(id) == flow;
                !is_refused && (*id == job || is_of_flow)
            }
            Request::Settle(_)
            | Request::Pause(_)
            | Request::Resume(_)
            | Request::Claim(_)
            | Request::Write(..)
            | Request::Cancel(_)
            | Request::CancelFlow(_)
            | Request::PurgeDead
            | Request::Recover
            | Request::Reap
            | Request::FailOverdue => false,
        }
    }
}

impl Request {
    /// Whether it may queue jobs again that had ended, or take the ids of those that were deleted.
    fn may_retry(&self, is_purged: bool) -> bool {
        matches!(self, Self::Retry(_) | Self::RetryFlow(_) | Self::RetryDead)
            || (is_purged && matches!(self, Self::Submit(_) | Self::SubmitFlow(_)))
    }
}
