//! What the tests start from: jobs, instants, and a store with slots.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use roughneck_jobs::{
    class::{Class, Slots},
    clock::{Entropy, Millis},
    delivery::Delivery,
    event::JobEvent,
    failure::Failure,
    id::JobId,
    job::{Attempt, Job, NewJob},
    mark::Marks,
    ports::{
        bell::{Bell, Change},
        schedules::{Settled, Settlement},
        store::{Claim, Claimed, Finish, StoreError, Verdict},
    },
    priority::Priority,
    run::{LEASE_MS, Run},
    schedule::{Fire, Overlap},
    state::State,
    usage::Usage,
};

use crate::database::{self, Database, Ports};

/// The first instant of every story; the others are milliseconds after it.
pub(crate) fn at(ms: u64) -> Millis {
    Millis(1_800_000_000_000).plus_ms(ms)
}

pub(crate) fn io() -> Class {
    Class("io".to_owned())
}

pub(crate) fn slots(count: u32) -> Vec<Slots> {
    vec![Slots { class: io(), count }]
}

static JOBS: AtomicU64 = AtomicU64::new(1);

struct Next;
impl Entropy for Next {
    fn roll(&self) -> u128 {
        u128::from(JOBS.fetch_add(1, Ordering::Relaxed))
    }
}

/// An id that sorts after those made before it.
pub(crate) fn job_id() -> JobId {
    JobId::at(at(0), &Next)
}

/// A job of class `io` that may run at once.
pub(crate) fn new_job() -> NewJob {
    NewJob {
        id: job_id(),
        idempotency_key: None,
        kind: "test.echo".to_owned(),
        class: io(),
        priority: Priority::NORMAL,
        rank: at(0),
        enqueued_at: at(0),
        run_at: at(0),
        deadline: None,
        attempts_max: 4,
        model: None,
        input: r#"{"text":"hello \u0000 wörld"}"#.to_owned(),
        callback: None,
        trace_parent: None,
        caller: None,
        fire: None,
        unique: None,
        concurrency: None,
        member: None,
    }
}

/// A job that tells its end to a target.
pub(crate) fn job_with_callback() -> NewJob {
    NewJob { callback: Some("cms".parse().unwrap()), ..new_job() }
}

/// The job of a schedule's fire.
pub(crate) fn fired(schedule: &str, fire: u64) -> NewJob {
    let fire = Fire { schedule: schedule.to_owned(), at: Some(at(fire)) };
    NewJob { fire: Some(fire), ..new_job() }
}

pub(crate) fn failure() -> Failure {
    Failure::retry("unavailable", "the site did not answer")
}

pub(crate) fn ending(verdict: Verdict, at: Millis) -> Finish {
    Finish {
        verdict,
        at,
        plugin: Some("sha256:abc".to_owned()),
        usage: Usage::default(),
        log: Vec::new(),
        notices: Vec::new(),
    }
}

pub(crate) fn done() -> Verdict {
    Verdict::Done { output: r#"{"ok":true}"#.to_owned() }
}

pub(crate) fn retry(delay_ms: u64) -> Verdict {
    Verdict::Retry { delay_ms, failure: failure() }
}

/// All that is written about a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Everything {
    pub(crate) job: Option<Job>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) events: Vec<JobEvent>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// A bell that remembers.
#[derive(Default)]
pub(crate) struct Rung(Mutex<Vec<Change>>);

impl Rung {
    /// What was rung since the last call, when everything that `store` wrote is on the disk: jobs first.
    pub(crate) async fn after(&self, store: &dyn Ports) -> Vec<Change> {
        // A write that rings no bell, and whose answer waits for the disk.
        let unheard_of = format!("schedule-{}", JOBS.fetch_add(1, Ordering::Relaxed));
        store.remember_schedule(&unheard_of, "UTC @every 1h", at(0)).await.unwrap();
        let mut changes = std::mem::take(&mut *self.0.lock().unwrap());
        changes.sort_by_key(|change| !matches!(change, Change::Job(_)));
        changes
    }
}

impl Bell for Rung {
    fn ring(&self, change: Change) {
        self.0.lock().unwrap().push(change);
    }
}

/// A store with one database, two slots of class `io`, and a bell.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Ports>,
    pub(crate) rung: Arc<Rung>,
    _database: Option<Box<dyn Database>>,
}

impl Deref for World {
    type Target = dyn Ports;
    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = database::new();
        let world = Self::of(&*database).await;
        Self { _database: Some(database), ..world }
    }

    /// The world in a database that outlives it.
    pub(crate) async fn of(database: &dyn Database) -> Self {
        Self::with_marks(database, database::no_marks()).await
    }

    /// The world in a database, with high-water marks.
    pub(crate) async fn with_marks(database: &dyn Database, marks: Marks) -> Self {
        let rung = Arc::new(Rung::default());
        let store = database.open(rung.clone(), marks).await;
        store.set_slots(&slots(2)).await.unwrap();
        Self { store, rung, _database: None }
    }

    /// What was rung since the last call. The bells of the outside wait for the disk.
    pub(crate) async fn rung(&self) -> Vec<Change> {
        self.rung.after(&*self.store).await
    }

    pub(crate) async fn submitted(&self, job: NewJob) -> JobId {
        self.submit(job).await.unwrap().id()
    }

    pub(crate) async fn claim_at(&self, limit: u32, now: Millis) -> Vec<Claimed> {
        let claim =
            Claim { class: io(), limit, at: now, lease_until: now.plus_ms(LEASE_MS), prefer: None };
        self.claim(claim).await.unwrap().claimed
    }

    /// Claims the one job that is there.
    pub(crate) async fn claimed(&self, now: Millis) -> Claimed {
        let mut claimed = self.claim_at(1, now).await;
        assert_eq!(claimed.len(), 1, "a job and a slot were expected");
        claimed.remove(0)
    }

    /// Submits a job and claims it.
    pub(crate) async fn running(&self, job: NewJob) -> Run {
        let id = self.submitted(job).await;
        let claimed = self.claimed(at(0)).await;
        assert_eq!(claimed.job.id, id);
        claimed.run
    }

    /// Submits a job and claims it, whatever else waits.
    pub(crate) async fn claimed_of(&self, job: NewJob) -> Run {
        let id = self.submitted(job).await;
        let claimed = self.claim_at(9, at(0)).await.into_iter().find(|one| one.job.id == id);
        claimed.unwrap_or_else(|| panic!("{id} is not handed out")).run
    }

    pub(crate) async fn end(&self, run: Run, verdict: Verdict, now: Millis) -> State {
        self.finish(run, ending(verdict, now)).await.unwrap()
    }

    /// Settles the fires of a manifest's schedule, and returns the jobs of those that ran.
    pub(crate) async fn settled(
        &self,
        schedule: &str,
        up_to: Millis,
        overlap: Overlap,
        jobs: &[NewJob],
    ) -> Vec<JobId> {
        let kept = self.remember_schedule(schedule, "UTC 0 3 * * *", at(0)).await.unwrap();
        let settlement = Settlement {
            schedule: schedule.to_owned(),
            revision: kept.revision,
            up_to,
            jobs: jobs.to_vec(),
            missed: 0,
            overlap,
        };
        match self.settle(settlement).await.unwrap() {
            Settled::Submitted(jobs) => jobs,
            Settled::Stale => panic!("nobody changed {schedule}"),
        }
    }

    pub(crate) async fn get_job(&self, id: JobId) -> Job {
        self.job(id).await.unwrap().unwrap()
    }

    pub(crate) async fn everything(&self, id: JobId) -> Everything {
        Everything {
            job: self.job(id).await.unwrap(),
            attempts: self.attempts(id).await.unwrap(),
            events: self.events(id, 0).await.unwrap(),
            deliveries: self.deliveries(id).await.unwrap(),
        }
    }

    /// The states that a job went through.
    pub(crate) async fn states(&self, id: JobId) -> Vec<State> {
        self.events(id, 0).await.unwrap().into_iter().map(|event| event.state).collect()
    }

    /// How the runs of a job ended.
    pub(crate) async fn outcomes(&self, id: JobId) -> Vec<String> {
        let attempts = self.attempts(id).await.unwrap();
        attempts.into_iter().map(|attempt| attempt.outcome.unwrap_or_default()).collect()
    }
}

pub(crate) fn assert_fenced<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Fenced)), "{result:?}");
}
