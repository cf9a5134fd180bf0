//! The queue.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    class::{Class, Slots},
    clock::Millis,
    event::JobEvent,
    failure::code,
    id::JobId,
    job::{Attempt, DeadLetters, Filter, Job, LogLine, NewJob},
    mark::Passed,
    past::Past,
    pause::{Pause, Scope},
    ports::store::{
        Cancelled, Claim, Claimed, Claims, Cleared, Count, Finish, Overdue, Promoted, Reaped,
        Retried, Store, StoreError, Submitted, Verdict,
    },
    rate::Rate,
    run::Run,
    state::State,
    usage::Usage,
};

use super::Frail;
use crate::history::{Answer, Moment, Request, Taken, Wanted, Write};

#[async_trait]
impl Store for Frail {
    async fn set_slots(&self, slots: &[Slots]) -> Result<(), StoreError> {
        self.cross(self.inner.set_slots(slots)).await
    }

    async fn submit(&self, job: NewJob) -> Result<Submitted, StoreError> {
        let request = Request::Submit(wanted(&job));
        self.noted(request, self.inner.submit(job), |it| Answer::Submitted(*it)).await
    }

    fn passed_mark(&self) -> Option<Passed> {
        self.inner.passed_mark()
    }

    fn failing(&self) -> Option<StoreError> {
        self.inner.failing()
    }

    async fn set_rates(&self, rates: &[(String, Rate)]) -> Result<(), StoreError> {
        self.cross(self.inner.set_rates(rates)).await
    }

    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        let request = Request::Pause(pause.clone());
        self.noted(request, self.inner.pause(pause), |()| Answer::Kept).await
    }

    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        let request = Request::Resume(scope.clone());
        self.noted(request, self.inner.resume(scope), |_| Answer::Kept).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.cross(self.inner.pauses()).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, StoreError> {
        let (request, at) = (Request::Claim(claim.class.clone()), claim.at);
        self.noted(request, self.inner.claim(claim), |it| {
            Answer::Claimed(it.claimed.iter().map(|one| taken(one, at)).collect())
        })
        .await
    }

    async fn begin(
        &self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Option<Run>, StoreError> {
        self.cross(self.inner.begin(id, at, lease_until)).await
    }

    async fn keep(&self, past: Arc<Past>) -> Result<Option<State>, StoreError> {
        self.cross(self.inner.keep(past)).await
    }

    async fn withdraw(&self, id: JobId, reason: &str, at: Millis) -> Result<Cancelled, StoreError> {
        let request = Request::Cancel(id);
        let withdrawn = self.inner.withdraw(id, reason, at);
        self.noted(request, withdrawn, |it| Answer::Cancelled(it.clone())).await
    }

    async fn withdraw_all(
        &self,
        class: &Class,
        reason: &str,
        at: Millis,
        limit: u32,
    ) -> Result<u32, StoreError> {
        self.cross(self.inner.withdraw_all(class, reason, at, limit)).await
    }

    async fn set_loading(&self, run: Run, loading: bool, at: Millis) -> Result<(), StoreError> {
        let request = Request::Write(run, Write::Loading);
        self.noted(request, self.inner.set_loading(run, loading, at), |()| Answer::Kept).await
    }

    async fn gave_way(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        let request = Request::Write(run, Write::Loading);
        self.noted(request, self.inner.gave_way(run, at), |()| Answer::Kept).await
    }

    async fn renew(&self, runs: &[Run], lease_until: Millis) -> Result<Vec<Run>, StoreError> {
        self.cross(self.inner.renew(runs, lease_until)).await
    }

    async fn finish(&self, run: Run, finish: Finish) -> Result<State, StoreError> {
        let request = Request::Write(run, end(&finish.verdict));
        let blames = blames(&finish.verdict);
        let kept = self.noted(request, self.inner.finish(run, finish), |_| Answer::Kept).await;
        if blames && kept.is_ok() {
            self.log.note(Moment::Blamed(run));
        }
        kept
    }

    async fn cancel(&self, id: JobId, at: Millis) -> Result<Cancelled, StoreError> {
        let request = Request::Cancel(id);
        self.noted(request, self.inner.cancel(id, at), |it| Answer::Cancelled(it.clone())).await
    }

    async fn retry(&self, id: JobId, at: Millis) -> Result<Retried, StoreError> {
        let request = Request::Retry(id);
        self.noted(request, self.inner.retry(id, at), |it| Answer::Retried(*it)).await
    }

    async fn retry_many(
        &self,
        which: DeadLetters,
        limit: u32,
        at: Millis,
    ) -> Result<Cleared, StoreError> {
        let request = Request::RetryDead;
        self.noted(request, self.inner.retry_many(which, limit, at), |it| Answer::Jobs(it.jobs))
            .await
    }

    async fn purge(&self, which: DeadLetters, limit: u32) -> Result<Cleared, StoreError> {
        let request = Request::PurgeDead;
        self.noted(request, self.inner.purge(which, limit), |it| Answer::Jobs(it.jobs)).await
    }

    async fn retire(&self, state: State, until: Millis, limit: u32) -> Result<u32, StoreError> {
        self.cross(self.inner.retire(state, until, limit)).await
    }

    async fn release(&self, run: Run, at: Millis) -> Result<(), StoreError> {
        let request = Request::Write(run, Write::GiveBack);
        self.noted(request, self.inner.release(run, at), |()| Answer::Kept).await
    }

    async fn leave(&self, run: Run, usage: Usage, log: Vec<LogLine>) -> Result<(), StoreError> {
        self.cross(self.inner.leave(run, usage, log)).await
    }

    async fn recover(&self, at: Millis) -> Result<u32, StoreError> {
        let request = Request::Recover;
        self.noted(request, self.inner.recover(at), |it| Answer::Jobs(*it)).await
    }

    async fn reap(&self, at: Millis, limit: u32) -> Result<Reaped, StoreError> {
        let request = Request::Reap;
        self.noted(request, self.inner.reap(at, limit), |it| Answer::Lost(it.runs.clone())).await
    }

    async fn promote(&self, at: Millis, limit: u32) -> Result<Promoted, StoreError> {
        self.cross(self.inner.promote(at, limit)).await
    }

    async fn fail_overdue(&self, at: Millis, limit: u32) -> Result<Overdue, StoreError> {
        let call = self.inner.fail_overdue(at, limit);
        self.noted(Request::FailOverdue, call, |it| Answer::Lost(it.runs.clone())).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.cross(self.inner.job(id)).await
    }

    async fn job_of_key(&self, key: &str) -> Result<Option<Job>, StoreError> {
        self.cross(self.inner.job_of_key(key)).await
    }

    async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, StoreError> {
        self.cross(self.inner.jobs(filter)).await
    }

    async fn attempts(&self, id: JobId) -> Result<Vec<Attempt>, StoreError> {
        self.cross(self.inner.attempts(id)).await
    }

    async fn events(&self, id: JobId, after_seq: i64) -> Result<Vec<JobEvent>, StoreError> {
        self.cross(self.inner.events(id, after_seq)).await
    }

    async fn synced(&self) -> Result<(), StoreError> {
        self.cross(self.inner.synced()).await
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        self.cross(self.inner.counts()).await
    }
}

pub(super) fn wanted(job: &NewJob) -> Wanted {
    let active = job.unique.as_ref().filter(|unique| unique.until.is_none());
    Wanted {
        id: job.id,
        idempotency_key: job.idempotency_key.clone(),
        unique: active.map(|unique| unique.key.clone()),
        concurrency: job.concurrency.clone(),
        has_callback: job.callback.is_some(),
        flow: job.member.as_ref().map(|member| member.flow),
        needs: job.member.as_ref().map_or_else(Vec::new, |member| member.needs.clone()),
    }
}

fn taken(claimed: &Claimed, at: Millis) -> Taken {
    let Job { deadline, attempt, attempts_max, losses, .. } = claimed.job;
    let (run, kind) = (claimed.run, claimed.job.kind.clone());
    Taken { run, kind, at, deadline, attempt, attempts_max, losses }
}

/// Whether it is the plugin's failure that its run had lost its job.
fn blames(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Fail { failure } | Verdict::Retry { failure, .. } => failure.code == code::FENCED,
        Verdict::Done { .. }
        | Verdict::Cancel { .. }
        | Verdict::Postpone { .. }
        | Verdict::Await { .. } => false,
    }
}

fn end(verdict: &Verdict) -> Write {
    match verdict {
        Verdict::Done { .. } | Verdict::Fail { .. } | Verdict::Cancel { .. } => Write::End,
        Verdict::Retry { .. } | Verdict::Postpone { .. } | Verdict::Await { .. } => Write::GiveBack,
    }
}
