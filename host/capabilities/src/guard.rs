//! The one guard every call of a guest passes: budget, standing, time.

use roughneck_jobs::{failure::code, ports::runner::Standing};

use crate::{Exhausted, HostError, Refusal, Session};

impl Session {
    /// Counts a call that cannot be refused, such as a setter of a request: the first one past the
    /// budget stops the guest, because there is no other way to tell it.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn count(&mut self) -> Result<(), Exhausted> {
        self.calls = self.calls.saturating_add(1);
        if self.calls > self.limits.host_calls_max { Err(self.exhausted()) } else { Ok(()) }
    }

    /// Lets a call through that may act on the world.
    pub(crate) async fn admit(&mut self) -> Result<(), Refusal> {
        self.charge()?;
        Ok(self.may_act().await?)
    }

    /// The same for a call of which nothing is seen before the end of its run is kept: then the store decides whether the
    /// run still holds its job.
    pub(crate) fn admit_for_the_end(&mut self) -> Result<(), Refusal> {
        self.charge()?;
        self.holds()?;
        Ok(self.has_time()?)
    }

    /// Past its budget a guest is told so; at twice the budget it evidently does not listen, and is stopped.
    fn charge(&mut self) -> Result<(), Refusal> {
        self.calls = self.calls.saturating_add(1);
        let calls_max = self.limits.host_calls_max;
        if self.calls > calls_max.saturating_mul(2) {
            return Err(self.exhausted().into());
        }
        if self.calls > calls_max {
            return Err(self.exhausted().as_host_error().into());
        }
        Ok(())
    }

    /// Whether the run may cause anything at this moment.
    pub(crate) async fn may_act(&self) -> Result<(), HostError> {
        self.holds_for_sure().await?;
        self.has_time()
    }

    fn has_time(&self) -> Result<(), HostError> {
        if self.left_ms() == 0 {
            return Err(HostError::retryable(
                code::TIMEOUT,
                "the time of this attempt is over; raise the kind's `timeout` in plugin.toml",
            ));
        }
        Ok(())
    }

    /// Whether the run may still cause anything. Asked again inside long calls.
    pub(crate) async fn holds_for_sure(&self) -> Result<(), HostError> {
        allows(self.supervisor.confirmed().await)
    }

    /// The same, as far as is known.
    pub(crate) fn holds(&self) -> Result<(), HostError> {
        allows(self.supervisor.standing())
    }

    /// Milliseconds until the host stops the guest.
    pub(crate) fn left_ms(&self) -> u64 {
        self.deadline.since_ms(self.ports.clock.now())
    }

    fn exhausted(&self) -> Exhausted {
        Exhausted { calls_max: self.limits.host_calls_max }
    }
}

fn allows(standing: Standing) -> Result<(), HostError> {
    match standing {
        Standing::Held | Standing::Stopping => Ok(()),
        Standing::Cancelled => Err(HostError::fatal(
            code::CANCELLED,
            "the job was cancelled; return from `run` to end the attempt",
        )),
        Standing::Fenced => Err(HostError::fatal(
            code::FENCED,
            "this run has lost its job and may cause nothing any more; return from `run`",
        )),
        Standing::Overdue => Err(HostError::fatal(
            code::DEADLINE_PASSED,
            "the deadline of the job has passed and it may cause nothing any more; return from `run`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::World;

    fn told(result: Result<(), Refusal>) -> HostError {
        match result.unwrap_err() {
            Refusal::Told(error) => error,
            stopped @ (Refusal::Stopped(_) | Refusal::Awaits(_)) => panic!("stopped: {stopped}"),
        }
    }

    #[tokio::test]
    async fn a_run_that_was_cancelled_or_lost_its_job_or_is_overdue_causes_nothing() {
        let table = [
            (Standing::Cancelled, "cancelled", "return from `run`"),
            (Standing::Fenced, "fenced", "this run has lost its job and may"),
            (Standing::Overdue, "deadline-passed", "deadline of the job"),
        ];
        for (standing, code, sentence) in table {
            let world = World::new();
            let mut session = world.session();
            world.supervisor.stand(standing);
            for refused in [session.admit().await, session.admit_for_the_end()] {
                let error = told(refused);
                assert_eq!((error.code.as_str(), error.retryable), (code, false));
                assert!(error.message.contains(sentence), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_run_whose_standing_is_in_doubt_waits_before_it_causes_anything() {
        let world = World::new();
        let mut session = world.session();
        world.supervisor.doubt(true);
        tokio::select! {
            biased;
            admitted = session.admit() => panic!("{admitted:?}"),
            () = tokio::task::yield_now() => {}
        }
        // What is kept with the end of the run does not wait for it.
        assert_eq!(session.admit_for_the_end(), Ok(()));
        let ends_doubt = async { world.supervisor.doubt(false) };
        assert_eq!(tokio::join!(session.admit(), ends_doubt).0, Ok(()));
    }

    #[test]
    fn a_stopping_host_lets_a_run_finish() {
        let world = World::new();
        world.supervisor.stand(Standing::Stopping);
        assert_eq!(world.session().admit_for_the_end(), Ok(()));
    }

    #[test]
    fn a_call_after_the_deadline_is_refused() {
        let world = World::new();
        let mut session = world.session();
        world.clock.advance_ms(crate::fake::TIMEOUT_MS);
        let error = told(session.admit_for_the_end());
        assert_eq!((error.code.as_str(), error.retryable), ("timeout", true));
        assert!(error.message.contains("`timeout` in plugin.toml"), "{error}");
    }

    #[test]
    fn past_its_budget_a_guest_is_told_and_at_twice_the_budget_stopped() {
        let world = World::new().limits(|limits| limits.host_calls_max = 3);
        let mut session = world.session();
        for _ in 0..3 {
            assert_eq!(session.admit_for_the_end(), Ok(()));
        }
        for _ in 3..6 {
            let error = told(session.admit_for_the_end());
            assert_eq!(error.code, "host-call-limit");
            assert!(error.message.contains("limit of 3; raise `limits.host-calls`"), "{error}");
        }
        assert_eq!(session.admit_for_the_end(), Err(Refusal::Stopped(Exhausted { calls_max: 3 })));
    }

    #[test]
    fn a_call_that_cannot_be_refused_stops_the_guest_once_the_budget_is_used_up() {
        let world = World::new().limits(|limits| limits.host_calls_max = 1);
        let mut session = world.session();
        assert_eq!(session.count(), Ok(()));
        assert_eq!(session.count(), Err(Exhausted { calls_max: 1 }));
    }
}
