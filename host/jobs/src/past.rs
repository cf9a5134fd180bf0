//! Jobs that were over before they were written down: a call whose client had its answer at once.

use crate::{
    clock::Millis,
    event::JobEvent,
    finish::Finish,
    job::{Attempt, Job, NewJob},
    lifecycle::{Event, Progress, Refused, advance},
    run::LOSSES_MAX,
    state::State,
    step::Step,
};

/// A job that was over before the store was told of it. Nothing could keep it back: it was due when it came, it has one
/// attempt, and neither keys nor a deadline nor others that it needs.
#[derive(Clone, Debug)]
pub struct Past {
    /// The job as it came.
    pub job: NewJob,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a job.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It ran, once.
    Ran {
        /// When its turn came.
        began: Millis,
        /// How it ended.
        finish: Box<Finish>,
    },
    /// Nobody waited for it any more when its turn had not come.
    Withdrawn {
        /// Why, for people.
        reason: String,
        /// When.
        at: Millis,
    },
}

/// All that is to be written about a job that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// The job after its end, without its input.
    pub job: Job,
    /// Its moves, in their order.
    pub events: Vec<JobEvent>,
    /// Its run, if it ran. The number of the run is 1, which the store adds to the tokens of the past.
    pub attempt: Option<Attempt>,
}

impl Past {
    /// Bytes of what its submitter and its run made.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let made = match &self.fate {
            Fate::Ran { finish, .. } => finish.bytes(),
            Fate::Withdrawn { reason, .. } => reason.len(),
        };
        self.job.input.len().saturating_add(made)
    }

    /// Goes through its moves, as if each had been written when it was made.
    ///
    /// # Errors
    /// [`Refused`] if its verdict does not end it.
    pub fn life(&self) -> Result<Life, Refused> {
        // The input is not among what it leads to.
        let job = Job::accepted(&self.job, State::Queued, String::new());
        let mut life = Life { job, events: Vec::new(), attempt: None };
        life.tell(self.job.enqueued_at);
        match &self.fate {
            Fate::Ran { began, finish } => {
                life.begin(*began)?;
                life.end(Step::end(finish))?;
            }
            Fate::Withdrawn { reason, at } => {
                life.end(Step::because(Event::Cancelled, *at, reason))?;
            }
        }
        Ok(life)
    }
}

impl Life {
    fn begin(&mut self, at: Millis) -> Result<(), Refused> {
        let next = advance(&self.progress(), Event::Claimed)?;
        (self.job.state, self.job.attempt, self.job.started_at) =
            (next.state, next.attempt, Some(at));
        self.attempt = Some(Attempt::begun(1, next.attempt, at));
        self.tell(at);
        Ok(())
    }

    fn end(&mut self, mut step: Step) -> Result<(), Refused> {
        let refused = Refused { state: self.job.state, event: step.event };
        let next = advance(&self.progress(), step.event)?;
        if !next.state.is_terminal() {
            return Err(refused);
        }
        step.apply(&mut self.job, next);
        self.tell(step.at);
        if let Some(attempt) = &mut self.attempt {
            attempt.finished_at = Some(step.at);
            attempt.outcome = step.outcome().map(str::to_owned);
            (attempt.failure, attempt.usage, attempt.log) = (step.failure, step.usage, step.log);
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let Job { state, attempt, losses, .. } = self.job;
        Progress { state, attempt, losses, losses_max: LOSSES_MAX }
    }

    /// Writes down the state that it is in now.
    fn tell(&mut self, at: Millis) {
        let seq = self.events.last().map_or(1, |event| event.seq + 1);
        let Job { state, attempt, reason, .. } = &self.job;
        let (state, attempt, reason) = (*state, *attempt, reason.clone());
        self.events.push(JobEvent { seq, at, state, attempt, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        class::{CLIENT, Class},
        clock::Entropy,
        failure::Failure,
        finish::Verdict,
        id::JobId,
        priority::Priority,
        usage::Usage,
    };

    fn new_job() -> NewJob {
        struct Sixes;
        impl Entropy for Sixes {
            fn roll(&self) -> u128 {
                6
            }
        }
        NewJob {
            id: JobId::at(Millis(1), &Sixes),
            idempotency_key: None,
            kind: "ollama.call".to_owned(),
            class: Class(CLIENT.to_owned()),
            priority: Priority::NORMAL,
            rank: Millis(1),
            enqueued_at: Millis(1),
            run_at: Millis(1),
            deadline: None,
            attempts_max: 1,
            model: None,
            input: "{}".to_owned(),
            callback: None,
            trace_parent: None,
            caller: None,
            fire: None,
            unique: None,
            concurrency: None,
            member: None,
        }
    }

    fn ran(verdict: Verdict) -> Past {
        let usage = Usage { calls: 1, ..Usage::default() };
        let (log, notices) = (Vec::new(), Vec::new());
        let finish = Finish { verdict, at: Millis(3), plugin: None, usage, log, notices };
        Past { job: new_job(), fate: Fate::Ran { began: Millis(2), finish: Box::new(finish) } }
    }

    fn moves(life: &Life) -> Vec<(i64, u64, State, u32)> {
        let short = |event: &JobEvent| (event.seq, event.at.0 as u64, event.state, event.attempt);
        life.events.iter().map(short).collect()
    }

    #[test]
    fn one_that_ran_was_queued_worked_and_ended_in_its_one_attempt() {
        let failure = || Failure::fatal("broken", "it broke");
        for (verdict, state, outcome) in [
            (Verdict::Done { output: "1".to_owned() }, State::Done, "done"),
            (Verdict::Fail { failure: failure() }, State::Failed, "failed"),
            (Verdict::Cancel { failure: failure() }, State::Cancelled, "cancelled"),
        ] {
            let life = ran(verdict).life().unwrap();
            let all = [(1, 1, State::Queued, 0), (2, 2, State::Working, 1), (3, 3, state, 1)];
            assert_eq!(moves(&life), all);
            let attempt = life.attempt.unwrap();
            assert_eq!((attempt.outcome.as_deref(), attempt.usage.calls), (Some(outcome), 1));
            assert_eq!((life.job.attempt, life.job.usage.calls), (1, 1));
            assert_eq!(life.job.started_at.zip(life.job.finished_at), Some((Millis(2), Millis(3))));
        }
    }

    #[test]
    fn one_that_was_withdrawn_never_ran() {
        let fate = Fate::Withdrawn { reason: "it left".to_owned(), at: Millis(5) };
        let life = Past { job: new_job(), fate }.life().unwrap();
        assert_eq!(moves(&life), [(1, 1, State::Queued, 0), (2, 5, State::Cancelled, 0)]);
        assert_eq!((life.job.reason.as_deref(), life.attempt), (Some("it left"), None));
    }

    #[test]
    fn a_verdict_that_does_not_end_it_is_refused() {
        let failure = Failure::retry("broken", "it broke");
        for verdict in [
            Verdict::Retry { delay_ms: 1, failure: failure.clone() },
            Verdict::Postpone { delay_ms: 1, failure },
            Verdict::Await { children: Vec::new() },
        ] {
            assert_eq!(ran(verdict).life().unwrap_err().state, State::Working);
        }
    }
}
