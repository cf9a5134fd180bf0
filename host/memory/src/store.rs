//! The queue.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use roughneck_jobs::{
    child,
    class::{Class, Slots},
    clock::Millis,
    event::JobEvent,
    id::JobId,
    job::{Attempt, DeadLetters, Filter, Job, LogLine, NewJob},
    lifecycle::Event,
    mark::Passed,
    past::Past,
    pause::{Pause, Scope},
    ports::{
        bell::Change,
        store::{
            Cancelled, Claim, Claims, Cleared, Count, Finish, Overdue, Promoted, Reaped, Retried,
            Store, StoreError, Submitted, Verdict,
        },
    },
    rate::Rate,
    run::Run,
    state::State,
    step::Step,
    usage::Usage,
};

use crate::{Memory, row::Row, tables::Tables};

/// Jobs on one page.
const PAGE_MAX: u32 = 500;

/// Attempts in one answer.
const ATTEMPTS_MAX: usize = 100;

/// Events in one answer.
const EVENTS_MAX: usize = 200;

#[async_trait]
impl Store for Memory {
    async fn set_slots(&self, slots: &[Slots]) -> Result<(), StoreError> {
        let counts = slots.iter().map(|slots| (slots.class.clone(), slots.count));
        self.tables().slots = counts.collect();
        Ok(())
    }

    async fn submit(&self, job: NewJob) -> Result<Submitted, StoreError> {
        // The sender is ours: it outlives this call.
        let _ = self.submissions_held.subscribe().wait_for(|held| !held).await;
        self.write(|tables| {
            tables.break_submission(job.id)?;
            tables.submit(&job)
        })
    }

    fn failing(&self) -> Option<StoreError> {
        None
    }

    fn passed_mark(&self) -> Option<Passed> {
        self.tables().tampered.passed
    }

    async fn set_rates(&self, rates: &[(String, Rate)]) -> Result<(), StoreError> {
        match rates {
            [] => Ok(()),
            [..] => Err(StoreError::Broken {
                doing: "set the rate limits of the kinds",
                source: "a store in memory limits no rate".into(),
            }),
        }
    }

    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        self.tables().pauses.insert(pause.scope.clone(), pause);
        Ok(())
    }

    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        self.write(|tables| {
            let classes = tables.slots.keys().cloned().map(Change::Class);
            tables.changes.extend(classes);
            Ok(tables.pauses.remove(&scope).is_some())
        })
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.tables().pauses.values().cloned().collect())
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, StoreError> {
        let claims = self.write(|tables| tables.claim(&claim))?;
        if !claims.claimed.is_empty() {
            // The sender is ours: it outlives this call.
            let _ = self.claims_held.subscribe().wait_for(|held| !held).await;
        }
        Ok(claims)
    }

    async fn begin(
        &self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Option<Run>, StoreError> {
        // The sender is ours: it outlives this call.
        let _ = self.begins_held.subscribe().wait_for(|held| !held).await;
        self.write(|tables| {
            tables.break_begin()?;
            tables.begin_one(id, at, lease_until)
        })
    }

    async fn keep(&self, past: Arc<Past>) -> Result<Option<State>, StoreError> {
        // The sender is ours: it outlives this call.
        let _ = self.submissions_held.subscribe().wait_for(|held| !held).await;
        self.write(|tables| {
            tables.break_submission(past.job.id)?;
            tables.keep(&past)
        })
    }

    async fn withdraw(&self, id: JobId, reason: &str, at: Millis) -> Result<Cancelled, StoreError> {
        self.write(|tables| tables.cancel(id, reason, at))
    }

    async fn withdraw_all(
        &self,
        class: &Class,
        reason: &str,
        at: Millis,
        limit: u32,
    ) -> Result<u32, StoreError> {
        self.write(|tables| {
            let rows = tables.jobs.values().map(|row| &row.job).filter(|job| job.class == *class);
            let open = rows.filter(|job| job.state == State::Queued || job.state.is_running());
            let open: Vec<JobId> = open.map(|job| job.id).take(limit as usize).collect();
            for id in &open {
                tables.cancel(*id, reason, at)?;
            }
            Ok(u32::try_from(open.len()).unwrap_or(u32::MAX))
        })
    }

    async fn set_loading(&self, run: Run, loading: bool, at: Millis) -> Result<(), StoreError> {
        let event = if loading { Event::ModelLoading } else { Event::ModelReady };
        self.write(|tables| {
            let is_so = (tables.held(run)?.job.state == State::Loading) == loading;
            if is_so { Ok(()) } else { tables.make(run.job, Step::new(event, at)).map(drop) }
        })
    }

    async fn gave_way(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.held(run)?;
            tables.make(run.job, Step::gave_way(at)).map(drop)
        })
    }

    async fn renew(&self, runs: &[Run], lease_until: Millis) -> Result<Vec<Run>, StoreError> {
        // The sender is ours: it outlives this call.
        let _ = self.renewals_held.subscribe().wait_for(|held| !held).await;
        let mut tables = self.tables();
        tables.break_renewal()?;
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
        let ended = self.write(|tables| {
            tables.break_finish()?;
            tables.finish(run, &finish)
        });
        // The sender is ours: it outlives this call.
        let _ = self.ends_held.subscribe().wait_for(|held| !held).await;
        ended
    }

    async fn cancel(&self, id: JobId, at: Millis) -> Result<Cancelled, StoreError> {
        self.write(|tables| tables.cancel(id, "cancelled on request", at))
    }

    async fn retry(&self, id: JobId, at: Millis) -> Result<Retried, StoreError> {
        self.write(|tables| tables.retry(id, at))
    }

    async fn retry_many(
        &self,
        which: DeadLetters,
        limit: u32,
        at: Millis,
    ) -> Result<Cleared, StoreError> {
        self.write(|tables| tables.retry_many(&which, limit, at))
    }

    async fn purge(&self, which: DeadLetters, limit: u32) -> Result<Cleared, StoreError> {
        Ok(self.tables().purge(&which, limit))
    }

    async fn retire(&self, state: State, until: Millis, limit: u32) -> Result<u32, StoreError> {
        let mut tables = self.tables();
        let retired = tables.retire(state, until, limit);
        tables.tampered.retired.push(retired);
        Ok(retired)
    }

    async fn release(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.held(run)?;
            let step = Step::because(Event::Released, at, "its host stopped; it runs again");
            tables.make(run.job, step).map(drop)
        })
    }

    async fn leave(&self, run: Run, usage: Usage, log: Vec<LogLine>) -> Result<(), StoreError> {
        self.write(|tables| {
            let Some(row) = tables.jobs.get_mut(&run.job) else { return Ok(()) };
            let is_left = |attempt: &&mut Attempt| {
                attempt.run == run.token
                    && attempt.finished_at.is_some()
                    && attempt.usage == Usage::default()
                    && attempt.log.is_empty()
            };
            if let Some(attempt) = row.attempts.iter_mut().find(is_left) {
                (attempt.usage, attempt.log) = (usage, log);
                row.job.usage.add(&usage);
            }
            Ok(())
        })
    }

    async fn recover(&self, at: Millis) -> Result<u32, StoreError> {
        self.write(|tables| {
            let running = tables.jobs.values().filter(|row| row.job.state.is_running());
            let running: Vec<JobId> = running.map(|row| row.job.id).collect();
            for id in &running {
                tables.make(*id, Step::because(Event::Lost, at, "its host died while it ran"))?;
            }
            Ok(u32::try_from(running.len()).unwrap_or(u32::MAX))
        })
    }

    async fn reap(&self, at: Millis, limit: u32) -> Result<Reaped, StoreError> {
        self.write(|tables| {
            let running = |row: &&Row| row.job.state.is_running();
            let expired = tables.jobs.values().filter(running).filter(|row| row.lease_until <= at);
            let runs: Vec<Run> = expired.map(Row::run).take(limit as usize).collect();
            for run in &runs {
                let step = Step::because(Event::Lost, at, "its lease expired while it ran");
                tables.make(run.job, step)?;
            }
            let leases = tables.jobs.values().filter(running).map(|row| row.lease_until);
            Ok(Reaped { runs, next_at: leases.min() })
        })
    }

    async fn promote(&self, at: Millis, limit: u32) -> Result<Promoted, StoreError> {
        self.write(|tables| {
            let scheduled = |row: &&Row| row.job.state == State::Scheduled;
            let due = tables.jobs.values().filter(scheduled).filter(|row| row.job.run_at <= at);
            let due: Vec<JobId> = due.map(|row| row.job.id).take(limit as usize).collect();
            for id in &due {
                tables.make(*id, Step::new(Event::Due, at))?;
            }
            let next_at = tables.jobs.values().filter(scheduled).map(|row| row.job.run_at).min();
            Ok(Promoted { jobs: u32::try_from(due.len()).unwrap_or(u32::MAX), next_at })
        })
    }

    async fn fail_overdue(&self, at: Millis, limit: u32) -> Result<Overdue, StoreError> {
        self.write(|tables| tables.fail_overdue(at, limit))
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        // The sender is ours: it outlives this call.
        let _ = self.looks_held.subscribe().wait_for(|held| !held).await;
        Ok(self.tables().jobs.get(&id).map(|row| row.job.clone()))
    }

    async fn job_of_key(&self, key: &str) -> Result<Option<Job>, StoreError> {
        let tables = self.tables();
        let mut rows = tables.jobs.values();
        let of_key = rows.find(|row| row.idempotency_key.as_deref() == Some(key));
        Ok(of_key.map(|row| row.job.clone()))
    }

    async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, StoreError> {
        let tables = self.tables();
        let rows = tables.jobs.values().rev().map(|row| &row.job);
        let wanted = rows.filter(|job| is_wanted(job, &filter));
        let page = wanted.take(filter.limit.clamp(1, PAGE_MAX) as usize);
        Ok(page.map(light).collect())
    }

    async fn attempts(&self, id: JobId) -> Result<Vec<Attempt>, StoreError> {
        let tables = self.tables();
        let attempts = tables.jobs.get(&id).map_or(&[][..], |row| row.attempts.as_slice());
        let first = attempts.len().saturating_sub(ATTEMPTS_MAX);
        Ok(attempts.iter().skip(first).cloned().collect())
    }

    async fn events(&self, id: JobId, after_seq: i64) -> Result<Vec<JobEvent>, StoreError> {
        let tables = self.tables();
        let events = tables.jobs.get(&id).map_or(&[][..], |row| row.events.as_slice());
        let later = events.iter().filter(|event| event.seq > after_seq);
        Ok(later.take(EVENTS_MAX).cloned().collect())
    }

    async fn synced(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        // The sender is ours: it outlives this call.
        let _ = self.counts_held.subscribe().wait_for(|held| !held).await;
        let mut counts: BTreeMap<(Class, &str), Count> = BTreeMap::new();
        for Row { job, .. } in
            self.tables().jobs.values().filter(|row| !row.job.state.is_terminal())
        {
            let (class, state) = (job.class.clone(), job.state);
            let key = (class.clone(), state.as_str());
            counts.entry(key).or_insert(Count { class, state, jobs: 0 }).jobs += 1;
        }
        Ok(counts.into_values().collect())
    }
}

impl Tables {
    /// Ends a run.
    pub(crate) fn finish(&mut self, run: Run, finish: &Finish) -> Result<State, StoreError> {
        self.held(run)?;
        if matches!(finish.verdict, Verdict::Done { .. }) {
            // Before the callback: they happened before the end.
            for notice in &finish.notices {
                self.notify(run.job, finish.at, notice);
            }
        }
        let waits = match &finish.verdict {
            Verdict::Await { children } => Some(self.wait_for(run.job, children)?),
            Verdict::Done { .. }
            | Verdict::Retry { .. }
            | Verdict::Fail { .. }
            | Verdict::Postpone { .. }
            | Verdict::Cancel { .. } => None,
        };
        let mut step = Step::end(finish);
        if let Some(open) = waits {
            step.event = Event::AwaitsChildren { open };
            step.reason = Some(child::waits_for(open));
        }
        self.make(run.job, step)
    }

    /// Cancels a job in any state.
    pub(crate) fn cancel(
        &mut self,
        id: JobId,
        reason: &str,
        at: Millis,
    ) -> Result<Cancelled, StoreError> {
        let row = self.row(id)?;
        let (state, run) = (row.job.state, row.run());
        if state.is_terminal() {
            return Ok(Cancelled::Ended(state));
        }
        self.make(id, Step::because(Event::Cancelled, at, reason))?;
        Ok(if state.is_running() { Cancelled::Running(run) } else { Cancelled::Waiting })
    }
}

fn is_wanted(job: &Job, filter: &Filter) -> bool {
    let is_meant = match &filter.dead {
        Some(which) => which.include(job),
        None => {
            filter.state.is_none_or(|state| state == job.state)
                && filter.kind.as_ref().is_none_or(|kind| *kind == job.kind)
        }
    };
    is_meant && filter.before.is_none_or(|before| job.id < before)
}

/// A job without what can be large.
pub(crate) fn light(job: &Job) -> Job {
    Job { input: String::new(), output: None, ..job.clone() }
}
