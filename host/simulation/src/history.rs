//! What was asked of the store, what it answered, and what was seen, in the order in which it happened.

use roughneck_jobs::{
    class::Class,
    id::{DeliveryId, JobId},
    input_key::ConcurrencyKey,
    ports::store::{Cancelled, Retried, Submitted},
    run::Run,
    state::State,
};

/// All that happened, in all lives. A position is the number of things that happened before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    next: usize,
    pub(crate) calls: Vec<Call>,
    pub(crate) moments: Vec<(usize, Moment)>,
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
}

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Submit(Wanted),
    Claim(Class),
    /// A write of a run.
    Write(Run, Write),
    Cancel(JobId),
    Retry(JobId),
    RetryDead,
    PurgeDead,
    Recover,
    Reap,
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
    Claimed(Vec<Taken>),
    /// The write is kept.
    Kept,
    /// The run does not hold its job.
    Fenced,
    Cancelled(Cancelled),
    Retried(Retried),
    /// So many jobs.
    Jobs(u32),
    Reaped(Vec<Run>),
}

/// A job that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) run: Run,
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
    /// A receiver got a webhook.
    Received(DeliveryId),
    /// All jobs, in one read.
    Looked(Vec<Seen>),
    /// All jobs, in the end.
    Settled(Vec<Seen>),
    /// In the end: how often a job ended, and the webhooks that were to tell it.
    Told { job: JobId, ends: usize, deliveries: Vec<DeliveryId> },
    /// From here on each class has more work than slots.
    Crowded,
}

impl History {
    /// A call is made. Returns its number.
    pub(crate) fn ask(&mut self, request: Request) -> usize {
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

    /// Every submission.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&Call, &Wanted)> {
        self.calls.iter().filter_map(|call| {
            let Request::Submit(wanted) = &call.request else { return None };
            Some((call, wanted))
        })
    }

    /// Every read of all jobs.
    pub(crate) fn looks(&self) -> impl Iterator<Item = (usize, &[Seen])> {
        self.moments.iter().filter_map(|(at, moment)| {
            let (Moment::Looked(seen) | Moment::Settled(seen)) = moment else { return None };
            Some((*at, seen.as_slice()))
        })
    }

    /// Whether the job may have been given back to the queue between the two positions, on request.
    pub(crate) fn may_be_replayed(&self, job: JobId, from: usize, until: usize) -> bool {
        let mut between =
            self.calls.iter().filter(|call| call.answered > from && call.asked < until);
        between.any(|call| call.may_replay(job))
    }
}

impl Call {
    /// Whether it may have queued this job again although it had ended.
    fn may_replay(&self, job: JobId) -> bool {
        let is_refused =
            matches!(self.answer, Answer::Retried(Retried::Unchanged(_) | Retried::NobodyWaits));
        self.request == Request::RetryDead || (self.request == Request::Retry(job) && !is_refused)
    }
}
