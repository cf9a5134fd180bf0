//! What happens to a job, and what it leaves behind. Every store makes its moves with it.

use crate::{
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
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The move.
    pub event: Event,
    /// When.
    pub at: Millis,
    /// Why, for people.
    pub reason: Option<String>,
    /// The result, with [`Event::Succeeded`].
    pub output: Option<String>,
    /// What went wrong; it replaces the failure of an earlier attempt.
    pub failure: Option<Failure>,
    /// Digest of the plugin that ran.
    pub plugin: Option<String>,
    /// What the run cost.
    pub usage: Usage,
    /// The log of the run.
    pub log: Vec<LogLine>,
    /// With [`Event::RetriedBlocked`], how many jobs of its flow it waits for.
    pub waits: u32,
}

impl Step {
    /// A step without a word.
    #[must_use]
    pub fn new(event: Event, at: Millis) -> Self {
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
    #[must_use]
    pub fn because(event: Event, at: Millis, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..Self::new(event, at) }
    }

    /// The call of a run gave way to an urgent one, and the run waits for its model again.
    #[must_use]
    pub fn gave_way(at: Millis) -> Self {
        let reason = "its call gave way to an urgent one and will be made anew";
        Self::because(Event::ModelLoading, at, reason)
    }

    /// A step with a failure, whose words are its reason.
    #[must_use]
    pub fn failed(event: Event, at: Millis, failure: Failure) -> Self {
        let step = Self::because(event, at, &failure.message);
        Self { failure: Some(failure), ..step }
    }

    /// The end of a run. How many children are open that it waits for is the store's to say.
    #[must_use]
    pub fn end(finish: &Finish) -> Self {
        let at = finish.at;
        let failed = |event, failure: &Failure| Self::failed(event, at, failure.clone());
        let step = match &finish.verdict {
            Verdict::Done { output } => {
                Self { output: Some(output.clone()), ..Self::new(Event::Succeeded, at) }
            }
            Verdict::Retry { delay_ms, failure } => {
                failed(Event::FailedForNow { delay_ms: *delay_ms }, failure)
            }
            Verdict::Fail { failure } => failed(Event::FailedForGood, failure),
            Verdict::Postpone { delay_ms, failure } => {
                failed(Event::Postponed { delay_ms: *delay_ms }, failure)
            }
            Verdict::Cancel { failure } => failed(Event::Cancelled, failure),
            Verdict::Await { .. } => Self::new(Event::AwaitsChildren { open: 0 }, at),
        };
        let (plugin, log) = (finish.plugin.clone(), finish.log.clone());
        Self { plugin, usage: finish.usage, log, ..step }
    }

    /// Whether somebody wants the job to run again.
    #[must_use]
    pub fn is_retry_on_request(&self) -> bool {
        matches!(self.event, Event::Retried | Event::RetriedBlocked)
    }

    /// Makes the move that [`crate::lifecycle::advance`] has decided. The rank is not among what changes.
    /// What the attempt keeps stays in the step.
    pub fn apply(&mut self, job: &mut Job, next: Move) {
        if self.event == Event::Lost && next.state == State::Failed {
            self.fail(poison(next.losses));
        }
        if let (Event::DeadlinePassed, Some(at)) = (self.event, job.deadline) {
            self.fail(deadline::passed(job.state, at, job.failure.as_ref()));
        }
        let is_ready = self.is_retry_on_request() || matches!(self.event, Event::Unblocked { .. });
        if next.state == State::Scheduled || is_ready {
            job.run_at = self.at.plus_ms(next.delay_ms);
        }
        if self.is_retry_on_request() {
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
    }

    fn fail(&mut self, failure: Failure) {
        self.reason = Some(failure.message.clone());
        self.failure = Some(failure);
    }

    /// How an attempt ended that ended with it.
    #[must_use]
    pub fn outcome(&self) -> Option<&'static str> {
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
            | Event::Retried
            | Event::RetriedBlocked
            | Event::Unblocked { .. }
            | Event::DependencyFailed => None,
        }
    }
}

fn poison(losses: u32) -> Failure {
    Failure::fatal(
        code::POISON,
        format!("the host died or lost its lease {losses} times while it ran this job"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{class::Class, clock::Entropy, id::JobId, priority::Priority};

    const AT: Millis = Millis(1_000);

    fn job() -> Job {
        struct Sixes;
        impl Entropy for Sixes {
            fn roll(&self) -> u128 {
                6
            }
        }
        Job {
            id: JobId::at(AT, &Sixes),
            kind: "echo".to_owned(),
            class: Class("io".to_owned()),
            priority: Priority::NORMAL,
            rank: AT,
            state: State::Working,
            reason: None,
            enqueued_at: AT,
            run_at: AT,
            deadline: None,
            started_at: Some(AT),
            finished_at: None,
            attempt: 1,
            attempts_max: 3,
            losses: 0,
            input: "{}".to_owned(),
            output: None,
            failure: None,
            usage: Usage::default(),
            callback: None,
            trace_parent: None,
            caller: None,
            plugin: None,
            fire: None,
            member: None,
        }
    }

    fn next(state: State) -> Move {
        Move { state, attempt: 1, losses: 3, delay_ms: 5 }
    }

    fn finish(verdict: Verdict) -> Finish {
        let (plugin, usage) = (Some("sha256:1".to_owned()), Usage { calls: 2, ..Usage::default() });
        Finish { verdict, at: AT, plugin, usage, log: Vec::new(), notices: Vec::new() }
    }

    #[test]
    fn the_end_of_a_run_is_the_move_that_its_verdict_asks_for() {
        let broken = || Failure::retry("broken", "it broke");
        let open = Event::AwaitsChildren { open: 0 };
        for (verdict, event, outcome) in [
            (Verdict::Done { output: "1".to_owned() }, Event::Succeeded, "done"),
            (
                Verdict::Retry { delay_ms: 7, failure: broken() },
                Event::FailedForNow { delay_ms: 7 },
                "failed",
            ),
            (Verdict::Fail { failure: broken() }, Event::FailedForGood, "failed"),
            (
                Verdict::Postpone { delay_ms: 7, failure: broken() },
                Event::Postponed { delay_ms: 7 },
                "postponed",
            ),
            (Verdict::Cancel { failure: broken() }, Event::Cancelled, "cancelled"),
            (Verdict::Await { children: Vec::new() }, open, "released"),
        ] {
            let step = Step::end(&finish(verdict));
            assert_eq!((step.event, step.outcome(), step.usage.calls), (event, Some(outcome), 2));
            assert_eq!(step.reason, step.failure.map(|failure| failure.message));
        }
    }

    #[test]
    fn only_a_job_whose_losses_are_used_up_is_poison() {
        let lost = || Step::because(Event::Lost, AT, "its host died");
        let mut step = lost();
        step.apply(&mut job(), next(State::Queued));
        assert_eq!(step.failure, None);
        let (mut step, mut job) = (lost(), job());
        step.apply(&mut job, next(State::Failed));
        let failure = job.failure.unwrap();
        assert_eq!((failure.code.as_str(), job.finished_at), (code::POISON, Some(AT)));
        assert_eq!(job.reason, Some(failure.message));
    }

    #[test]
    fn a_retry_on_request_clears_the_deadline_and_one_by_policy_keeps_it() {
        let by_policy = Step::failed(
            Event::FailedForNow { delay_ms: 5 },
            AT,
            Failure::retry("broken", "it broke"),
        );
        let on_request = Step::new(Event::Retried, AT);
        for (mut step, state, kept) in
            [(by_policy, State::Scheduled, Some(Millis(9_000))), (on_request, State::Queued, None)]
        {
            let mut job = Job { deadline: Some(Millis(9_000)), ..job() };
            step.apply(&mut job, next(state));
            assert_eq!((job.deadline, job.run_at), (kept, Millis(1_005)));
        }
    }
}
