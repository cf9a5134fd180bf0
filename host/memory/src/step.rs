//! What happens to a job, and what it leaves behind.

use roughneck_jobs::{
    clock::Millis,
    deadline,
    failure::{Failure, code},
    job::{Job, LogLine},
    lifecycle::{Event, Move},
    ports::store::{Finish, Verdict},
    state::State,
    usage::Usage,
};

/// What happens to a job.
pub(crate) struct Step {
    pub(crate) event: Event,
    pub(crate) at: Millis,
    pub(crate) reason: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) failure: Option<Failure>,
    pub(crate) plugin: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) log: Vec<LogLine>,
    /// With [`Event::ReplayedBlocked`], how many jobs it waits for.
    pub(crate) waits: u32,
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

    /// The end of a run.
    pub(crate) fn of(finish: Finish) -> Self {
        let Finish { verdict, at, plugin, usage, log, notices: _ } = finish;
        let step = match verdict {
            Verdict::Done { output } => {
                Self { output: Some(output), ..Self::new(Event::Succeeded, at) }
            }
            Verdict::Retry { delay_ms, failure } => {
                Self::failed(Event::FailedForNow { delay_ms }, at, failure)
            }
            Verdict::Fail { failure } => Self::failed(Event::FailedForGood, at, failure),
            Verdict::Postpone { delay_ms, failure } => {
                Self::failed(Event::Postponed { delay_ms }, at, failure)
            }
            Verdict::Cancel { failure } => Self::failed(Event::Cancelled, at, failure),
            // How many are open, the tables know.
            Verdict::Await { .. } => Self::new(Event::AwaitsChildren { open: 0 }, at),
        };
        Self { plugin, usage, log, ..step }
    }

    /// Whether somebody wants the job to run again.
    pub(crate) fn is_replay(&self) -> bool {
        matches!(self.event, Event::Replayed | Event::ReplayedBlocked)
    }

    /// Makes the move.
    pub(crate) fn apply(&mut self, job: &mut Job, next: Move) {
        if self.event == Event::Lost && next.state == State::Failed {
            let sentence = format!("{} runs of it were lost with their host", next.losses);
            self.fail(Failure::fatal(code::POISON, sentence));
        }
        if let (Event::DeadlinePassed, Some(at)) = (self.event, job.deadline) {
            self.fail(deadline::passed(job.state, at, job.failure.as_ref()));
        }
        if self.is_replay() {
            job.deadline = None;
        }
        let is_freed = self.is_replay() || matches!(self.event, Event::Unblocked { .. });
        if next.state == State::Scheduled || is_freed {
            job.run_at = self.at.plus_ms(next.delay_ms);
        }
        (job.state, job.attempt, job.losses) = (next.state, next.attempt, next.losses);
        job.finished_at = next.state.is_terminal().then_some(self.at);
        job.reason.clone_from(&self.reason);
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
    }

    fn fail(&mut self, failure: Failure) {
        self.reason = Some(failure.message.clone());
        self.failure = Some(failure);
    }

    /// How an attempt ended that ended with it.
    pub(crate) fn outcome(&self) -> Option<&'static str> {
        match self.event {
            Event::Succeeded => Some("done"),
            Event::FailedForNow { .. } | Event::FailedForGood | Event::DeadlinePassed => {
                Some("failed")
            }
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
}
