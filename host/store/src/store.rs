//! The queue: [`Store`] on SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    class::{Class, Slots},
    clock::Millis,
    event::JobEvent,
    id::{JobId, NotAnId},
    job::{Attempt, DeadLetters, Filter, Job, LogLine, NewJob},
    mark::Passed,
    past::Past,
    pause::{Pause, Scope},
    ports::store::{
        Cancelled, Claim, Claims, Cleared, Count, Finish, Overdue, Promoted, Reaped, Retried,
        Store, StoreError, Submitted,
    },
    rate::Rate,
    run::Run,
    state::State,
    usage::Usage,
};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{SqliteStore, command::Command, fault::Fault, row};

/// Jobs on one page.
const PAGE_MAX: u32 = 500;

/// Dead letters that one command retries or deletes, so that it does not hold up the writer.
const DEAD_MAX: u32 = 500;

/// Attempts in one answer.
const ATTEMPTS_MAX: u32 = 100;

/// Events in one answer.
const EVENTS_MAX: u32 = 200;

#[async_trait]
impl Store for SqliteStore {
    async fn set_slots(&self, slots: &[Slots]) -> Result<(), StoreError> {
        let slots = slots.to_vec();
        self.ask(|reply| Command::SetSlots { slots, reply }).await
    }

    async fn set_rates(&self, rates: &[(String, Rate)]) -> Result<(), StoreError> {
        let rates = rates.to_vec();
        self.ask(|reply| Command::SetRates { rates, reply }).await
    }

    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        self.ask(|reply| Command::Pause { pause, reply }).await
    }

    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        self.ask(|reply| Command::Resume { scope, reply }).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read_pauses().await.map_err(|fault| fault.told("read the pauses"))
    }

    async fn submit(&self, job: NewJob) -> Result<Submitted, StoreError> {
        if self.intake.is_full()?
            && let Some(known) = self.standing(&job).await?
        {
            self.synced().await?;
            return Ok(Submitted::Existing(known));
        }
        self.intake.check()?;
        let job = Box::new(job);
        self.taken_in(self.ask(|reply| Command::Submit { job, reply }).await)
    }

    fn passed_mark(&self) -> Option<Passed> {
        self.intake.passed()
    }

    fn failing(&self) -> Option<StoreError> {
        self.health.failing()
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, StoreError> {
        self.ask(|reply| Command::Claim { claim, reply }).await
    }

    async fn begin(
        &self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Option<Run>, StoreError> {
        self.ask(|reply| Command::Begin { id, at, lease_until, reply }).await
    }

    async fn keep(&self, past: Arc<Past>) -> Result<Option<State>, StoreError> {
        self.intake.check()?;
        self.taken_in(self.ask(|reply| Command::Keep { past, reply }).await)
    }

    async fn withdraw(&self, id: JobId, reason: &str, at: Millis) -> Result<Cancelled, StoreError> {
        let reason = reason.to_owned();
        self.ask(|reply| Command::Withdraw { id, reason, at, reply }).await
    }

    async fn withdraw_all(
        &self,
        class: &Class,
        reason: &str,
        at: Millis,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let (class, reason) = (class.clone(), reason.to_owned());
        self.ask(|reply| Command::WithdrawAll { class, reason, at, limit, reply }).await
    }

    async fn set_loading(&self, run: Run, loading: bool, at: Millis) -> Result<(), StoreError> {
        self.ask(|reply| Command::SetLoading { run, loading, at, reply }).await
    }

    async fn gave_way(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        self.ask(|reply| Command::GaveWay { run, at, reply }).await
    }

    async fn renew(&self, runs: &[Run], lease_until: Millis) -> Result<Vec<Run>, StoreError> {
        let runs = runs.to_vec();
        self.ask(|reply| Command::Renew { runs, lease_until, reply }).await
    }

    async fn finish(&self, run: Run, finish: Finish) -> Result<State, StoreError> {
        let finish = Box::new(finish);
        self.ask(|reply| Command::Finish { run, finish, reply }).await
    }

    async fn cancel(&self, id: JobId, at: Millis) -> Result<Cancelled, StoreError> {
        self.ask(|reply| Command::Cancel { id, at, reply }).await
    }

    async fn retry(&self, id: JobId, at: Millis) -> Result<Retried, StoreError> {
        self.ask(|reply| Command::Retry { id, at, reply }).await
    }

    async fn retry_many(
        &self,
        which: DeadLetters,
        limit: u32,
        at: Millis,
    ) -> Result<Cleared, StoreError> {
        let (wanted, limit) = (which.clone(), limit.clamp(1, DEAD_MAX));
        let jobs = self.ask(|reply| Command::RetryMany { which: wanted, limit, at, reply }).await?;
        self.cleared(jobs, &which).await
    }

    async fn purge(&self, which: DeadLetters, limit: u32) -> Result<Cleared, StoreError> {
        let (wanted, limit) = (which.clone(), limit.clamp(1, DEAD_MAX));
        let jobs = self.ask(|reply| Command::Purge { which: wanted, limit, reply }).await?;
        self.cleared(jobs, &which).await
    }

    async fn retire(&self, state: State, until: Millis, limit: u32) -> Result<u32, StoreError> {
        let any = self.is_to_retire(state, until).await;
        if !any.map_err(|fault| fault.told("look for jobs that ended long ago"))? {
            return Ok(0);
        }
        self.ask(|reply| Command::Retire { state, until, limit, reply }).await
    }

    async fn release(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        self.ask(|reply| Command::Release { run, at, reply }).await
    }

    async fn leave(&self, run: Run, usage: Usage, log: Vec<LogLine>) -> Result<(), StoreError> {
        self.ask(|reply| Command::Leave { run, usage, log, reply }).await
    }

    async fn recover(&self, at: Millis) -> Result<u32, StoreError> {
        self.ask(|reply| Command::Recover { at, reply }).await
    }

    async fn reap(&self, at: Millis, limit: u32) -> Result<Reaped, StoreError> {
        let next_at = self.read_instant(sql!("job/next_lease")).await;
        let next_at = next_at.map_err(|fault| fault.told("look for expired leases"))?;
        if is_later(next_at, at) {
            return Ok(Reaped { runs: Vec::new(), next_at });
        }
        self.ask(|reply| Command::Reap { at, limit, reply }).await
    }

    async fn promote(&self, at: Millis, limit: u32) -> Result<Promoted, StoreError> {
        let next_at = self.read_instant(sql!("job/next_due")).await;
        let next_at = next_at.map_err(|fault| fault.told("look for due jobs"))?;
        if is_later(next_at, at) {
            return Ok(Promoted { jobs: 0, next_at });
        }
        self.ask(|reply| Command::Promote { at, limit, reply }).await
    }

    async fn fail_overdue(&self, at: Millis, limit: u32) -> Result<Overdue, StoreError> {
        let next_at = self.read_instant(sql!("job/next_deadline")).await;
        let next_at = next_at.map_err(|fault| fault.told("look for jobs past their deadline"))?;
        if is_later(next_at, at) {
            return Ok(Overdue { next_at, ..Overdue::default() });
        }
        self.ask(|reply| Command::FailOverdue { at, limit, reply }).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let job = self.read_job(sql!("job/read"), &id.to_string()).await;
        job.map_err(|fault| fault.told("read a job"))
    }

    async fn job_of_key(&self, key: &str) -> Result<Option<Job>, StoreError> {
        let job = self.read_job(sql!("job/read_of_key"), key).await;
        job.map_err(|fault| fault.told("look for the job of an idempotency key"))
    }

    async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, StoreError> {
        self.read_jobs(filter).await.map_err(|fault| fault.told("read a page of jobs"))
    }

    async fn attempts(&self, id: JobId) -> Result<Vec<Attempt>, StoreError> {
        self.read_attempts(id).await.map_err(|fault| fault.told("read the attempts of a job"))
    }

    async fn events(&self, id: JobId, after_seq: i64) -> Result<Vec<JobEvent>, StoreError> {
        let events = self.read_events(id, after_seq).await;
        events.map_err(|fault| fault.told("read the events of a job"))
    }

    async fn synced(&self) -> Result<(), StoreError> {
        self.ask(|reply| Command::Sync { reply }).await
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        self.read_counts().await.map_err(|fault| fault.told("count the jobs"))
    }
}

impl SqliteStore {
    /// What became of a new job. One for which the disk had no room is counted.
    fn taken_in<T>(&self, taken: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(taken, Err(StoreError::DiskFull { .. })) {
            self.intake.overflowed();
        }
        taken
    }
}

/// Whether a sweep at `at` has nothing to do. Asked on a reader, so that an idle host writes nothing.
pub(crate) fn is_later(next_at: Option<Millis>, at: Millis) -> bool {
    next_at.is_none_or(|next_at| next_at > at)
}

impl SqliteStore {
    /// The job that stands in the way of `job`: that of its idempotency key, its id or its unique key.
    async fn standing(&self, job: &NewJob) -> Result<Option<JobId>, StoreError> {
        let standing = self.read_standing(job).await;
        standing.map_err(|fault| fault.told("look for a job that was accepted before"))
    }

    async fn read_standing(&self, job: &NewJob) -> Result<Option<JobId>, Fault> {
        let key = job.idempotency_key.as_deref();
        let unique = job.unique.as_ref().map(|unique| &*unique.key);
        let id: Option<String> = sqlx::query_scalar(sql!("job/standing"))
            .bind(job.id.to_string())
            .bind(key)
            .bind(unique)
            .bind(job.enqueued_at.0)
            .fetch_optional(&self.readers)
            .await?;
        let id = id.map(|id| id.parse()).transpose();
        Ok(id.map_err(|error: NotAnId| sqlx::Error::Decode(Box::new(error)))?)
    }

    /// Counts what is left on a reader: the writer has better things to do.
    async fn cleared(&self, jobs: u32, which: &DeadLetters) -> Result<Cleared, StoreError> {
        let left: Result<i64, sqlx::Error> = sqlx::query_scalar(sql!("job/count_dead"))
            .bind(&which.kind)
            .bind(&which.code)
            .bind(which.failed_before.map(|before| before.0))
            .fetch_one(&self.readers)
            .await;
        let left = left.map_err(|error| Fault::from(error).told("count the dead letters"))?;
        Ok(Cleared { jobs, left: u64::try_from(left).unwrap_or(0) })
    }

    async fn is_to_retire(&self, state: State, until: Millis) -> Result<bool, Fault> {
        let any = sqlx::query_scalar(sql!("job/is_to_retire"))
            .bind(state.as_str())
            .bind(until.0)
            .fetch_one(&self.readers)
            .await?;
        Ok(any)
    }

    pub(crate) async fn read_instant(
        &self,
        statement: &'static str,
    ) -> Result<Option<Millis>, Fault> {
        let at: Option<i64> = sqlx::query_scalar(statement).fetch_one(&self.readers).await?;
        Ok(at.map(Millis))
    }

    async fn read_job(&self, statement: &'static str, by: &str) -> Result<Option<Job>, Fault> {
        let row = sqlx::query(statement).bind(by).fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(row::job).transpose()?)
    }

    async fn read_jobs(&self, filter: Filter) -> Result<Vec<Job>, Fault> {
        let limit = filter.limit.clamp(1, PAGE_MAX) as usize;
        let mut before = filter.before.map(|before| before.to_string());
        let mut jobs = Vec::with_capacity(limit);
        loop {
            let wanted = limit - jobs.len();
            let rows = self.read_page(&filter, before.as_deref(), wanted).await?;
            for row in &rows {
                match row::job(row) {
                    Ok(job) => jobs.push(job),
                    // Its place is for the next one: a short page is the last one.
                    Err(error) => tracing::warn!(%error, "a job cannot be read and is left out"),
                }
            }
            match rows.last() {
                Some(last) if rows.len() == wanted && jobs.len() < limit => {
                    before = Some(last.try_get("id")?);
                }
                Some(_) | None => return Ok(jobs),
            }
        }
    }

    async fn read_page(
        &self,
        filter: &Filter,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SqliteRow>, Fault> {
        // Each page is read from an index in its order, which an `OR` in one statement would hide.
        let page = match (filter.state, &filter.kind) {
            _ if filter.dead.is_some() => sql!("job/page_of_dead"),
            (None, None) => sql!("job/page"),
            (Some(_), None) => sql!("job/page_of_state"),
            (None, Some(_)) => sql!("job/page_of_kind"),
            (Some(_), Some(_)) => sql!("job/page_of_state_and_kind"),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = sqlx::query(page).bind(before).bind(limit);
        if let Some(DeadLetters { kind, code, failed_before }) = &filter.dead {
            let failed_before = failed_before.map(|before| before.0);
            let query = query.bind(code).bind(kind).bind(failed_before);
            return Ok(query.fetch_all(&self.readers).await?);
        }
        if let Some(state) = filter.state {
            query = query.bind(state.as_str());
        }
        if let Some(kind) = &filter.kind {
            query = query.bind(kind);
        }
        Ok(query.fetch_all(&self.readers).await?)
    }

    async fn read_attempts(&self, id: JobId) -> Result<Vec<Attempt>, Fault> {
        let rows = sqlx::query(sql!("attempt/list"))
            .bind(id.to_string())
            .bind(ATTEMPTS_MAX)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.iter().rev().map(row::attempt).collect::<Result<_, _>>()?)
    }

    async fn read_events(&self, id: JobId, after_seq: i64) -> Result<Vec<JobEvent>, Fault> {
        let rows = sqlx::query(sql!("job_event/list"))
            .bind(id.to_string())
            .bind(after_seq)
            .bind(EVENTS_MAX)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.iter().map(row::event).collect::<Result<_, _>>()?)
    }

    async fn read_pauses(&self) -> Result<Vec<Pause>, Fault> {
        let rows = sqlx::query(sql!("pause/list")).fetch_all(&self.readers).await?;
        Ok(rows.iter().map(row::pause).collect::<Result<_, _>>()?)
    }

    async fn read_counts(&self) -> Result<Vec<Count>, Fault> {
        let rows = sqlx::query(sql!("job/count")).fetch_all(&self.readers).await?;
        Ok(rows.iter().map(count).collect::<Result<_, _>>()?)
    }
}

fn count(row: &SqliteRow) -> Result<Count, sqlx::Error> {
    let jobs: i64 = row.try_get("jobs")?;
    Ok(Count {
        class: Class(row.try_get("class")?),
        state: row::text(row, "state")?,
        jobs: u64::try_from(jobs).unwrap_or(0),
    })
}
