//! A store in memory, for the engine's tests: the same moves by the same pure function, no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

mod children;
mod flows;

use async_trait::async_trait;
use roughneck_jobs::{
    class::{Class, Slots},
    clock::{Clock, Entropy, Millis},
    delivery::{self, Delivery, DeliveryOutcome, DeliveryState},
    event::JobEvent,
    flow::{Flow, Member, Need},
    id::{DeliveryId, FlowId, JobId},
    job::{Attempt, DeadLetters, Filter, Job, LogLine, NewJob},
    lifecycle::{Event, Progress, advance},
    mark::Passed,
    pause::{Pause, Scope},
    ports::{
        bell::{Bell, Change},
        outbox::{DueDeliveries, Outbox},
        schedules::{Created, Schedules, Settled, Settlement},
        store::{
            Cancelled, Claim, Claimed, Claims, Cleared, Count, Finish, Promoted, Reaped, Retried,
            Store, StoreError, Submitted, Verdict,
        },
    },
    preference::Candidate,
    rate::Rate,
    run::{LOSSES_MAX, Run},
    schedule::{self, Kept, LastFire, Made, Overlap, Spec},
    state::State,
    usage::Usage,
};

use tokio::sync::watch;

use crate::world::Time;

mod schedules;

struct Row {
    job: Job,
    model: Option<String>,
    needs: Vec<Need>,
    /// The parent and the name, if it is a child.
    born: Option<(JobId, String)>,
    depth: u32,
    /// The children that it waits for, if it is blocked.
    awaited: BTreeSet<JobId>,
    rank: Millis,
    token: i64,
    /// The token of the last run before the last replay.
    replay_token: i64,
    lease_until: Millis,
}

impl Row {
    fn candidate(&self) -> Candidate {
        let Job { id, priority, .. } = self.job;
        Candidate { id, model: self.model.clone(), priority }
    }
}

#[derive(Default)]
struct Tables {
    jobs: BTreeMap<JobId, Row>,
    flows: BTreeMap<FlowId, Flow>,
    /// Blocked jobs that wait for one more than they need, until they are mended.
    miscounted: BTreeSet<JobId>,
    /// Reads of results to fail before one succeeds.
    broken_reads: u32,
    slots: BTreeMap<Class, u32>,
    pauses: BTreeMap<Scope, Pause>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    schedules: BTreeMap<String, Kept>,
    last_revision: i64,
    fires: BTreeSet<(String, Millis)>,
    /// Finishes to fail before one succeeds.
    broken_finishes: u32,
    /// Begins to fail before one succeeds.
    broken_begins: u32,
    /// Submissions to fail before one succeeds.
    broken_submissions: u32,
    /// A class that gets a copy of each job that is claimed, so that it never runs dry.
    endless: Option<Class>,
    /// Jobs that each command deleted because they ended long ago.
    retired: Vec<usize>,
    /// A schedule whose fires cannot be settled.
    broken_schedule: Option<String>,
    /// The mark because of which no new job is taken.
    passed: Option<Passed>,
}

pub(crate) struct Memory {
    tables: Mutex<Tables>,
    /// While true, a claim is made but not yet answered.
    claims_held: watch::Sender<bool>,
    /// While true, no submission is made.
    submissions_held: watch::Sender<bool>,
    bell: Arc<dyn Bell>,
    time: Arc<Time>,
}

impl Memory {
    pub(crate) fn new(bell: Arc<dyn Bell>, time: Arc<Time>) -> Self {
        let [claims_held, submissions_held] = [false; 2].map(watch::Sender::new);
        Self { tables: Mutex::default(), claims_held, submissions_held, bell, time }
    }

    pub(crate) fn state(&self, id: JobId) -> State {
        self.lock().jobs[&id].job.state
    }

    pub(crate) fn row(&self, id: JobId) -> Job {
        self.lock().jobs[&id].job.clone()
    }

    pub(crate) fn ids(&self) -> Vec<JobId> {
        self.lock().jobs.keys().copied().collect()
    }

    /// The fires that were answered with a job, the oldest first, as often as they were.
    pub(crate) fn fired(&self, schedule: &str) -> Vec<Millis> {
        let tables = self.lock();
        let fires = tables.jobs.values().filter_map(|row| row.job.fire.as_ref());
        let mut fired: Vec<_> =
            fires.filter(|fire| fire.schedule == schedule).filter_map(|fire| fire.at).collect();
        fired.sort_unstable();
        fired
    }

    /// The fires that are remembered.
    pub(crate) fn fires(&self) -> Vec<Millis> {
        self.lock().fires.iter().map(|(_, at)| *at).collect()
    }

    /// What each command deleted that deleted something.
    pub(crate) fn retired(&self) -> Vec<usize> {
        self.lock().retired.iter().copied().filter(|jobs| *jobs > 0).collect()
    }

    pub(crate) fn break_finishes(&self, count: u32) {
        self.lock().broken_finishes = count;
    }

    pub(crate) fn break_begins(&self, count: u32) {
        self.lock().broken_begins = count;
    }

    pub(crate) fn break_submissions(&self, count: u32) {
        self.lock().broken_submissions = count;
    }

    pub(crate) fn break_schedule(&self, id: &str) {
        self.lock().broken_schedule = Some(id.to_owned());
    }

    /// Says that a mark is passed, or that all are kept.
    pub(crate) fn set_passed(&self, passed: Option<Passed>) {
        self.lock().passed = passed;
    }

    pub(crate) fn hold_claims(&self, hold: bool) {
        self.claims_held.send_replace(hold);
    }

    pub(crate) fn hold_submissions(&self, hold: bool) {
        self.submissions_held.send_replace(hold);
    }

    pub(crate) fn endless(&self, class: &str) {
        self.lock().endless = Some(Class(class.to_owned()));
    }

    fn hand_out(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut tables = self.lock();
        let closed = tables.closed(claim.at);
        let of_class = |row: &&mut Row| row.job.class == claim.class;
        let busy =
            tables.jobs.values_mut().filter(of_class).filter(|row| row.job.state.is_running());
        let busy = u32::try_from(busy.count()).unwrap();
        let free = tables.slots[&claim.class].saturating_sub(busy).min(claim.limit);
        let mut ready: Vec<&Row> = tables
            .jobs
            .values()
            .filter(|row| row.job.class == claim.class)
            .filter(|row| row.job.state == State::Queued)
            .filter(|row| !closed.contains(&Scope::Class(row.job.class.0.clone())))
            .filter(|row| !closed.contains(&Scope::Kind(row.job.kind.clone())))
            .collect();
        ready.sort_by_key(|row| (row.rank, row.job.id));
        let ready: Vec<Candidate> = ready.into_iter().map(Row::candidate).collect();
        let best = &ready[..ready.len().min(free as usize)];
        let order = match &claim.prefer {
            Some(preference) => {
                let is_preferred = |one: &&Candidate| {
                    one.model.as_ref().is_some_and(|m| preference.models.contains(m))
                };
                let preferred: Vec<_> = ready.iter().filter(is_preferred).cloned().collect();
                preference.order(best, &preferred, claim.at)
            }
            None => best.iter().map(|one| one.id).collect(),
        };
        let mut claimed = Vec::new();
        for id in order {
            let row = tables.jobs.get_mut(&id).unwrap();
            apply(row, Event::Claimed, claim.at)?;
            row.token += 1;
            row.lease_until = claim.lease_until;
            row.job.started_at = Some(claim.at);
            let run = Run { job: row.job.id, token: row.token };
            let postponements = row.token - i64::from(row.job.attempt) - row.replay_token;
            let postponements = u32::try_from(postponements).unwrap();
            claimed.push(Claimed { job: row.job.clone(), run, postponements });
        }
        if tables.endless.as_ref() == Some(&claim.class) {
            for one in &claimed {
                let job = Job { id: JobId::new(&*self.time, &*self.time), ..one.job.clone() };
                let job = Job { state: State::Queued, attempt: 0, ..job };
                let row = Row {
                    job,
                    model: None,
                    needs: Vec::new(),
                    born: None,
                    depth: 0,
                    awaited: BTreeSet::new(),
                    rank: claim.at,
                    token: 0,
                    replay_token: 0,
                    lease_until: claim.at,
                };
                tables.jobs.insert(row.job.id, row);
            }
        }
        Ok(claimed)
    }

    /// Accepts a job as a host would whose notification was lost.
    pub(crate) fn submit_silently(&self, new: &NewJob) {
        self.lock().jobs.insert(new.id, row(new));
    }

    /// Takes the job away from its run, as another host would.
    pub(crate) fn steal(&self, id: JobId) {
        let mut tables = self.lock();
        let row = tables.jobs.get_mut(&id).unwrap();
        apply(row, Event::Lost, self.time.now()).unwrap();
        row.token += 1;
        row.job.state = State::Scheduled;
    }

    pub(crate) fn check_marks(&self) -> Result<(), StoreError> {
        self.lock().passed.map_or(Ok(()), |passed| Err(StoreError::Full(passed)))
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }
}

fn row(new: &NewJob) -> Row {
    Row {
        job: job(new),
        model: new.model.clone(),
        needs: new.member.as_ref().map_or_else(Vec::new, |member| member.needs.clone()),
        born: None,
        depth: 0,
        awaited: BTreeSet::new(),
        rank: new.rank,
        token: 0,
        replay_token: 0,
        lease_until: Millis(0),
    }
}

fn job(new: &NewJob) -> Job {
    let later = new.run_at > new.enqueued_at;
    Job {
        id: new.id,
        kind: new.kind.clone(),
        class: new.class.clone(),
        priority: new.priority,
        rank: new.rank,
        state: match &new.member {
            Some(member) if !member.needs.is_empty() => State::Blocked,
            Some(_) | None if later => State::Scheduled,
            Some(_) | None => State::Queued,
        },
        reason: None,
        enqueued_at: new.enqueued_at,
        run_at: new.run_at,
        started_at: None,
        finished_at: None,
        attempt: 0,
        attempts_max: new.attempts_max,
        losses: 0,
        input: new.input.clone(),
        output: None,
        failure: None,
        usage: Usage::default(),
        callback: new.callback.clone(),
        trace_parent: None,
        plugin: None,
        fire: new.fire.clone(),
        member: new.member.as_ref().map(|member| Member {
            flow: member.flow,
            name: member.name.clone(),
            waits: u32::try_from(member.needs.len()).unwrap(),
        }),
    }
}

fn apply(row: &mut Row, event: Event, at: Millis) -> Result<(), StoreError> {
    let job = &mut row.job;
    let progress = Progress {
        state: job.state,
        attempt: job.attempt,
        losses: job.losses,
        losses_max: LOSSES_MAX,
    };
    let next = advance(&progress, event)?;
    (job.state, job.attempt, job.losses) = (next.state, next.attempt, next.losses);
    if let Some(member) = job.member.as_mut().filter(|_| next.state != State::Blocked) {
        member.waits = 0;
    }
    let is_freed = matches!(event, Event::Replayed | Event::Unblocked { .. });
    if next.state == State::Scheduled || is_freed {
        job.run_at = at.plus_ms(next.delay_ms);
    }
    job.finished_at = next.state.is_terminal().then_some(at);
    Ok(())
}

impl Tables {
    /// What is paused.
    fn closed(&self, at: Millis) -> BTreeSet<Scope> {
        let pauses = self.pauses.values().filter(|pause| !pause.is_over(at));
        pauses.map(|pause| pause.scope.clone()).collect()
    }

    fn opens_at(&self, at: Millis) -> Option<Millis> {
        let pauses = self.pauses.values().filter(|pause| !pause.is_over(at));
        pauses.filter_map(|pause| pause.until).min()
    }

    fn held(&mut self, run: Run) -> Result<&mut Row, StoreError> {
        let row = self.jobs.get_mut(&run.job).ok_or(StoreError::Fenced)?;
        let holds = row.token == run.token && row.job.state.is_running();
        if holds { Ok(row) } else { Err(StoreError::Fenced) }
    }

    fn tell(&mut self, id: JobId, at: Millis, time: &Time) {
        let job = &self.jobs[&id].job;
        let Some(target) = job.callback.clone().filter(|_| job.state.is_terminal()) else { return };
        let event = delivery::end_event(job);
        let delivery = Delivery {
            id: DeliveryId::new(time, time),
            job: id,
            target,
            body: delivery::body(&event, at, &delivery::end_data(job)),
            event,
            state: DeliveryState::Pending,
            attempts: 0,
            next_at: at,
            finished_at: None,
            last_error: None,
        };
        self.deliveries.insert(delivery.id, delivery);
    }
}

#[async_trait]
impl Store for Memory {
    async fn set_slots(&self, slots: &[Slots]) -> Result<(), StoreError> {
        self.lock().slots = slots.iter().map(|s| (s.class.clone(), s.count)).collect();
        Ok(())
    }

    async fn submit(&self, new: NewJob) -> Result<Submitted, StoreError> {
        let (id, class) = (new.id, new.class.clone());
        self.submissions_held.subscribe().wait_for(|held| !held).await.unwrap();
        self.check_marks()?;
        {
            let mut tables = self.lock();
            if tables.broken_submissions > 0 {
                tables.broken_submissions -= 1;
                return Err(StoreError::Broken { doing: "submit", source: "it is gone".into() });
            }
        }
        self.submit_silently(&new);
        self.bell.ring(Change::Job(id));
        self.bell.ring(Change::Class(class));
        self.bell.ring(Change::Due);
        Ok(Submitted::Created(id))
    }

    fn passed_mark(&self) -> Option<Passed> {
        self.lock().passed
    }

    /// The engine's tests have no kind with a rate.
    async fn set_rates(&self, rates: &[(String, Rate)]) -> Result<(), StoreError> {
        assert_eq!(rates, []);
        Ok(())
    }

    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        self.lock().pauses.insert(pause.scope.clone(), pause);
        Ok(())
    }

    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        let resumed = self.lock().pauses.remove(&scope).is_some();
        let classes: Vec<Class> = self.lock().slots.keys().cloned().collect();
        classes.into_iter().for_each(|class| self.bell.ring(Change::Class(class)));
        Ok(resumed)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.lock().pauses.values().cloned().collect())
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, StoreError> {
        let claimed = self.hand_out(&claim)?;
        if !claimed.is_empty() {
            self.claims_held.subscribe().wait_for(|held| !held).await.unwrap();
        }
        let next_at = self.lock().opens_at(claim.at);
        Ok(Claims { claimed, next_at })
    }

    async fn begin(
        &self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Option<Run>, StoreError> {
        let mut tables = self.lock();
        if tables.broken_begins > 0 {
            tables.broken_begins -= 1;
            return Err(StoreError::Broken { doing: "begin", source: "the disk is gone".into() });
        }
        let Tables { jobs, slots, .. } = &mut *tables;
        let class = &jobs[&id].job.class;
        let of_class = jobs.values().filter(|row| row.job.class == *class);
        let busy = of_class.filter(|row| row.job.state.is_running()).count();
        if busy >= slots[class] as usize || jobs[&id].job.state != State::Queued {
            return Ok(None);
        }
        let row = jobs.get_mut(&id).unwrap();
        apply(row, Event::Claimed, at)?;
        row.token += 1;
        row.lease_until = lease_until;
        row.job.started_at = Some(at);
        Ok(Some(Run { job: id, token: row.token }))
    }

    async fn withdraw(&self, id: JobId, reason: &str, at: Millis) -> Result<Cancelled, StoreError> {
        let cancelled = self.cancel(id, at).await?;
        match &cancelled {
            Cancelled::Waiting | Cancelled::Running(_) => {
                self.lock().jobs.get_mut(&id).unwrap().job.reason = Some(reason.to_owned());
            }
            Cancelled::Ended(_) => {}
        }
        Ok(cancelled)
    }

    async fn withdraw_all(
        &self,
        class: &Class,
        reason: &str,
        at: Millis,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let open: Vec<JobId> = {
            let tables = self.lock();
            let open = tables.jobs.values().map(|row| &row.job).filter(|job| {
                job.class == *class && (job.state == State::Queued || job.state.is_running())
            });
            open.map(|job| job.id).take(limit as usize).collect()
        };
        for id in &open {
            self.withdraw(*id, reason, at).await?;
        }
        Ok(u32::try_from(open.len()).unwrap())
    }

    async fn set_loading(&self, run: Run, loading: bool, at: Millis) -> Result<(), StoreError> {
        let event = if loading { Event::ModelLoading } else { Event::ModelReady };
        apply(self.lock().held(run)?, event, at)
    }

    async fn renew(&self, runs: &[Run], lease_until: Millis) -> Result<Vec<Run>, StoreError> {
        let mut tables = self.lock();
        let mut lost = Vec::new();
        for run in runs {
            match tables.held(*run) {
                Ok(row) => row.lease_until = lease_until,
                Err(_) => lost.push(*run),
            }
        }
        Ok(lost)
    }

    async fn finish(&self, run: Run, finish: Finish) -> Result<State, StoreError> {
        let mut tables = self.lock();
        if tables.broken_finishes > 0 {
            tables.broken_finishes -= 1;
            return Err(StoreError::Broken { doing: "finish", source: "the disk is full".into() });
        }
        tables.held(run)?;
        let (event, failure) = match finish.verdict {
            Verdict::Done { output } => {
                tables.held(run)?.job.output = Some(output);
                (Event::Succeeded, None)
            }
            Verdict::Retry { delay_ms, failure } => {
                (Event::FailedForNow { delay_ms }, Some(failure))
            }
            Verdict::Fail { failure } => (Event::FailedForGood, Some(failure)),
            Verdict::Postpone { delay_ms, failure } => {
                (Event::Postponed { delay_ms }, Some(failure))
            }
            Verdict::Cancel { failure } => (Event::Cancelled, Some(failure)),
            Verdict::Await { children } => (tables.wait_for(run.job, children), None),
        };
        let row = tables.held(run)?;
        apply(row, event, finish.at)?;
        row.job.reason = failure.as_ref().map(|failure| failure.message.clone());
        row.job.failure = failure;
        row.job.usage.add(&finish.usage);
        let state = row.job.state;
        tables.tell(run.job, finish.at, &self.time);
        tables.cancel_below(finish.at);
        let released = tables.follow(finish.at);
        drop(tables);
        released.into_iter().for_each(|class| self.bell.ring(Change::Class(class)));
        let class = self.lock().jobs[&run.job].job.class.clone();
        self.bell.ring(Change::Class(class));
        self.bell.ring(Change::Due);
        self.bell.ring(Change::Delivery);
        Ok(state)
    }

    async fn cancel(&self, id: JobId, at: Millis) -> Result<Cancelled, StoreError> {
        let mut tables = self.lock();
        let row = tables.jobs.get_mut(&id).ok_or(StoreError::NoSuchJob(id))?;
        let before = row.job.state;
        if before.is_terminal() {
            return Ok(Cancelled::Ended(before));
        }
        apply(row, Event::Cancelled, at)?;
        let run = Run { job: id, token: row.token };
        tables.cancel_below(at);
        let released = tables.follow(at);
        drop(tables);
        released.into_iter().for_each(|class| self.bell.ring(Change::Class(class)));
        self.bell.ring(Change::Runs);
        Ok(if before.is_running() { Cancelled::Running(run) } else { Cancelled::Waiting })
    }

    async fn retry(&self, id: JobId, at: Millis) -> Result<Retried, StoreError> {
        let mut tables = self.lock();
        let row = tables.jobs.get_mut(&id).ok_or(StoreError::NoSuchJob(id))?;
        if apply(row, Event::Replayed, at).is_err() {
            return Ok(Retried::Unchanged(row.job.state));
        }
        row.replay_token = row.token;
        let class = row.job.class.clone();
        drop(tables);
        self.bell.ring(Change::Class(class));
        Ok(Retried::Queued)
    }

    async fn retry_many(
        &self,
        _which: DeadLetters,
        _limit: u32,
        _at: Millis,
    ) -> Result<Cleared, StoreError> {
        unreachable!("the HTTP surface's")
    }

    async fn purge(&self, _which: DeadLetters, _limit: u32) -> Result<Cleared, StoreError> {
        unreachable!("the HTTP surface's")
    }

    async fn retire(&self, state: State, until: Millis, limit: u32) -> Result<u32, StoreError> {
        let mut tables = self.lock();
        let grown = tables.grown_up();
        let Tables { jobs, deliveries, .. } = &mut *tables;
        let is_open =
            |id| deliveries.values().any(|d| d.job == id && d.state == DeliveryState::Pending);
        let is_over = |job: &Job| {
            let others = jobs.values().map(|row| &row.job);
            let flow = |job: &Job| job.member.as_ref().map(|member| member.flow);
            flow(job).is_none()
                || others
                    .filter(|other| flow(other) == flow(job))
                    .all(|job| job.state.is_terminal())
        };
        let old = jobs.values().map(|row| &row.job).filter(|job| {
            job.state == state
                && is_over(job)
                && grown.contains(&job.id)
                && job.finished_at.is_some_and(|finished_at| finished_at <= until)
                && !is_open(job.id)
        });
        let old: Vec<JobId> = old.map(|job| job.id).take(limit as usize).collect();
        jobs.retain(|id, _| !old.contains(id));
        tables.retired.push(old.len());
        Ok(u32::try_from(old.len()).unwrap())
    }

    async fn release(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        let mut tables = self.lock();
        let row = tables.held(run)?;
        apply(row, Event::Released, at)
    }

    async fn leave(&self, run: Run, usage: Usage, _log: Vec<LogLine>) -> Result<(), StoreError> {
        if let Some(row) = self.lock().jobs.get_mut(&run.job) {
            row.job.usage.add(&usage);
        }
        Ok(())
    }

    async fn recover(&self, at: Millis) -> Result<u32, StoreError> {
        let mut tables = self.lock();
        let mut lost = 0;
        for row in tables.jobs.values_mut().filter(|row| row.job.state.is_running()) {
            apply(row, Event::Lost, at)?;
            lost += 1;
        }
        tables.follow(at);
        Ok(lost)
    }

    async fn reap(&self, at: Millis, _limit: u32) -> Result<Reaped, StoreError> {
        let mut tables = self.lock();
        let mut reaped = Reaped::default();
        for row in tables.jobs.values_mut().filter(|row| row.job.state.is_running()) {
            if row.lease_until <= at {
                apply(row, Event::Lost, at)?;
                reaped.runs.push(Run { job: row.job.id, token: row.token });
            }
        }
        tables.follow(at);
        Ok(reaped)
    }

    async fn promote(&self, at: Millis, _limit: u32) -> Result<Promoted, StoreError> {
        let mut tables = self.lock();
        let mut promoted = Promoted::default();
        let mut rung = BTreeSet::new();
        for row in tables.jobs.values_mut().filter(|row| row.job.state == State::Scheduled) {
            if row.job.run_at <= at {
                apply(row, Event::Due, at)?;
                rung.insert(row.job.class.clone());
                promoted.jobs += 1;
            } else {
                let next = promoted.next_at.unwrap_or(row.job.run_at);
                promoted.next_at = Some(next.min(row.job.run_at));
            }
        }
        drop(tables);
        rung.into_iter().for_each(|class| self.bell.ring(Change::Class(class)));
        Ok(promoted)
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.lock().jobs.get(&id).map(|row| row.job.clone()))
    }

    async fn job_of_key(&self, _key: &str) -> Result<Option<Job>, StoreError> {
        Ok(None)
    }

    async fn jobs(&self, _filter: Filter) -> Result<Vec<Job>, StoreError> {
        Ok(self.lock().jobs.values().map(|row| row.job.clone()).collect())
    }

    async fn attempts(&self, _id: JobId) -> Result<Vec<Attempt>, StoreError> {
        Ok(Vec::new())
    }

    async fn events(&self, _id: JobId, _after_seq: i64) -> Result<Vec<JobEvent>, StoreError> {
        Ok(Vec::new())
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        let mut counts: BTreeMap<(Class, &str), Count> = BTreeMap::new();
        for Row { job, .. } in self.lock().jobs.values() {
            let (class, state) = (job.class.clone(), job.state);
            let key = (class.clone(), state.as_str());
            counts.entry(key).or_insert(Count { class, state, jobs: 0 }).jobs += 1;
        }
        Ok(counts.into_values().collect())
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn due_deliveries(&self, at: Millis, _limit: u32) -> Result<DueDeliveries, StoreError> {
        let tables = self.lock();
        let pending = tables.deliveries.values().filter(|d| d.state == DeliveryState::Pending);
        let (due, later): (Vec<_>, Vec<_>) = pending.cloned().partition(|d| d.next_at <= at);
        Ok(DueDeliveries { due, next_at: later.iter().map(|d| d.next_at).min() })
    }

    async fn record_delivery(
        &self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        at: Millis,
    ) -> Result<(), StoreError> {
        let mut tables = self.lock();
        let delivery = tables.deliveries.get_mut(&id).unwrap();
        delivery.attempts += 1;
        match outcome {
            DeliveryOutcome::Delivered => delivery.state = DeliveryState::Delivered,
            DeliveryOutcome::Retry { delay_ms, .. } => delivery.next_at = at.plus_ms(delay_ms),
            DeliveryOutcome::GiveUp { .. } => delivery.state = DeliveryState::Dead,
        }
        Ok(())
    }

    async fn deliveries(&self, job: JobId) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.lock().deliveries.values().filter(|d| d.job == job).cloned().collect())
    }
}

/// The dice of tests: they count.
impl Entropy for Time {
    fn roll(&self) -> u128 {
        self.count()
    }
}
