//! A job whose submitter waits, in memory: it shows what was said about it, and stops when a test says so.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    delivery::Notice,
    id::JobId,
    job::{LogLine, NewJob},
    mark::Passed,
    ports::{
        attended::{Attended, Halt},
        runner::{Outcome, Standing, Supervisor},
        store::StoreError,
    },
    usage::Usage,
};
use tokio::sync::watch;

/// What was said about an attended job.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) has_begun: bool,
    pub(crate) is_loading: bool,
    pub(crate) text: String,
    pub(crate) usage: Usage,
    pub(crate) outcome: Option<Outcome>,
    /// Its submitter went without an end.
    pub(crate) has_left: bool,
}

/// Why it stops.
#[derive(Clone, Copy)]
enum Stop {
    Cancelled,
    Stopping,
    Refused(Passed),
}

/// The host's side of an attended job.
pub(crate) struct FakeAttended {
    pub(crate) job: NewJob,
    said: watch::Sender<Said>,
    stop: watch::Sender<Option<Stop>>,
}

impl FakeAttended {
    pub(crate) fn new(job: NewJob) -> Arc<Self> {
        let (said, stop) = (watch::Sender::new(Said::default()), watch::Sender::new(None));
        Arc::new(Self { job, said, stop })
    }

    /// The submitter's side.
    pub(crate) fn submitter(self: &Arc<Self>) -> Arc<dyn Attended> {
        Arc::new(Submitter(Arc::clone(self)))
    }

    pub(crate) fn said(&self) -> Said {
        self.said.borrow().clone()
    }

    /// Waits until what was said is so.
    pub(crate) async fn until(&self, condition: impl Fn(&Said) -> bool) -> Said {
        self.said.subscribe().wait_for(|said| condition(said)).await.unwrap().clone()
    }

    pub(crate) fn cancel(&self) {
        self.stop.send_replace(Some(Stop::Cancelled));
    }

    /// The host stops.
    pub(crate) fn dismiss(&self) {
        self.stop.send_replace(Some(Stop::Stopping));
    }

    /// The queue takes no new jobs.
    pub(crate) fn refuse(&self, passed: Passed) {
        self.stop.send_replace(Some(Stop::Refused(passed)));
    }
}

struct Submitter(Arc<FakeAttended>);

#[async_trait]
impl Attended for Submitter {
    fn id(&self) -> JobId {
        self.0.job.id
    }

    fn supervisor(&self) -> Arc<dyn Supervisor> {
        Arc::new(Attendant(Arc::clone(&self.0)))
    }

    fn begin(&self) {
        self.0.said.send_modify(|said| said.has_begun = true);
    }

    async fn halted(&self) -> Halt {
        let mut stop = self.0.stop.subscribe();
        let stop = *stop.wait_for(Option::is_some).await.unwrap();
        match stop.unwrap() {
            Stop::Cancelled => Halt::Cancelled,
            Stop::Stopping => Halt::Stopping,
            Stop::Refused(passed) => Halt::Refused(StoreError::Full(passed)),
        }
    }

    fn end(&self, outcome: Outcome) {
        self.0.said.send_modify(|said| {
            said.outcome.get_or_insert(outcome);
        });
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.0.said.send_modify(|said| said.has_left = said.outcome.is_none());
    }
}

/// The run's side.
struct Attendant(Arc<FakeAttended>);

#[async_trait]
impl Supervisor for Attendant {
    fn standing(&self) -> Standing {
        match *self.0.stop.borrow() {
            None => Standing::Held,
            Some(Stop::Cancelled) => Standing::Cancelled,
            Some(Stop::Stopping) => Standing::Stopping,
            Some(Stop::Refused(_)) => Standing::Fenced,
        }
    }
    async fn confirmed(&self) -> Standing {
        self.standing()
    }

    fn began(&self) {}

    async fn loading(&self, loading: bool) {
        self.0.said.send_modify(|said| said.is_loading = loading);
    }

    async fn gave_way(&self) {
        self.0.said.send_modify(|said| said.is_loading = true);
    }

    fn text(&self, piece: &str) {
        self.0.said.send_modify(|said| said.text.push_str(piece));
    }

    fn retract(&self) {
        self.0.said.send_modify(|said| said.text.clear());
    }

    fn progress(&self, _: Option<u8>, _: String) {}

    fn log(&self, _: LogLine) {}

    fn spent(&self, usage: &Usage) {
        self.0.said.send_modify(|said| said.usage.add(usage));
    }

    fn notify(&self, _: Notice) {}
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{mark::Mark, ports::control::Control as _};

    use super::*;
    use crate::testing::{Host, a_new_job};

    #[tokio::test]
    async fn it_shows_what_was_said_and_stops_when_a_test_says_so() {
        let host = Host::new();
        let attended = host.fakes.control.attend(a_new_job(1));
        let fake = host.fakes.control.attended().remove(0);
        assert_eq!((attended.id(), fake.said()), (fake.job.id, Said::default()));
        let supervisor = attended.supervisor();
        attended.begin();
        supervisor.loading(true).await;
        supervisor.text("hello");
        supervisor.spent(&Usage { calls: 1, ..Usage::default() });
        let said = fake.until(|said| said.usage.calls == 1).await;
        assert_eq!((said.has_begun, said.is_loading, &*said.text), (true, true, "hello"));
        let passed = Passed { mark: Mark::Jobs, level: 2, limit: 1 };
        fake.refuse(passed);
        assert!(matches!(attended.halted().await, Halt::Refused(StoreError::Full(_))));
        fake.dismiss();
        assert!(matches!(attended.halted().await, Halt::Stopping));
        fake.cancel();
        assert!(matches!(attended.halted().await, Halt::Cancelled));
        assert_eq!(supervisor.standing(), Standing::Cancelled);
        drop(attended);
        assert!(fake.said().has_left);
    }
}
