//! Handing out jobs.

use std::collections::BTreeSet;

use roughneck_jobs::{
    class::Class,
    clock::Millis,
    id::JobId,
    job::Attempt,
    lifecycle::{Event, advance},
    pause::Scope,
    ports::{
        bell::Change,
        store::{Claim, Claimed, Claims, StoreError},
    },
    preference::Candidate,
    run::Run,
    state::State,
    step::Step,
};

use crate::{row::Row, tables::Tables};

impl Tables {
    /// Hands out the best-ranked jobs of a class that nothing keeps back.
    pub(crate) fn claim(&mut self, claim: &Claim) -> Result<Claims, StoreError> {
        self.tampered.claims += 1;
        let (mut claimed, mut missed): (Vec<Claimed>, u32) = (Vec::new(), 0);
        let wanted = self.free(&claim.class).min(claim.limit);
        while claimed.len() < wanted as usize {
            let Some(id) = self.best(claim) else { break };
            if self.row(id)?.job.is_overdue(claim.at) {
                self.make(id, Step::new(Event::DeadlinePassed, claim.at))?;
                missed += 1;
                continue;
            }
            let key = self.row(id)?.concurrency.clone();
            match key {
                Some(key) if !self.has_room(&key) => self.park(id, claim.at)?,
                Some(_) | None => claimed.push(self.begin(id, claim.at, claim.lease_until)?),
            }
        }
        self.copy_endless(claim, &claimed);
        let next_at = self.paused(claim.at).filter_map(|pause| pause.until).min();
        Ok(Claims { claimed, next_at, missed })
    }

    /// Hands out exactly this job, if it is queued and a slot is free.
    pub(crate) fn begin_one(
        &mut self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Option<Run>, StoreError> {
        let job = &self.row(id)?.job;
        let (class, state) = (job.class.clone(), job.state);
        if state != State::Queued || self.free(&class) == 0 {
            return Ok(None);
        }
        Ok(Some(self.begin(id, at, lease_until)?.run))
    }

    fn free(&self, class: &Class) -> u32 {
        let rows = self.jobs.values().filter(|row| row.job.class == *class);
        let busy = rows.filter(|row| row.job.state.is_running()).count();
        let slots = self.slots.get(class).copied().unwrap_or(0);
        slots.saturating_sub(u32::try_from(busy).unwrap_or(u32::MAX))
    }

    fn best(&self, claim: &Claim) -> Option<JobId> {
        let closed: BTreeSet<&Scope> = self.paused(claim.at).map(|pause| &pause.scope).collect();
        let is_closed = |scope: Scope| closed.contains(&scope);
        if is_closed(Scope::Class(claim.class.0.clone())) {
            return None;
        }
        let rows = self.jobs.values().filter(|row| row.job.class == claim.class);
        let queued = rows.filter(|row| row.job.state == State::Queued);
        let open = queued.filter(|row| !is_closed(Scope::Kind(row.job.kind.clone())));
        let mut open: Vec<&Row> = open.collect();
        open.sort_by_key(|row| (row.job.rank, row.job.id));
        let best = open.first()?.candidate();
        let Some(preference) = &claim.prefer else { return Some(best.id) };
        let candidates = open.iter().map(|row| row.candidate());
        let is_preferred = |one: &Candidate| {
            one.model.as_ref().is_some_and(|model| preference.models.contains(model))
        };
        let preferred: Vec<_> = candidates.filter(is_preferred).collect();
        preference.order(&[best], &preferred, claim.at).first().copied()
    }

    /// Hands out a job, whatever its class has of slots.
    pub(crate) fn begin(
        &mut self,
        id: JobId,
        at: Millis,
        lease_until: Millis,
    ) -> Result<Claimed, StoreError> {
        let row = self.row(id)?;
        let next = advance(&row.progress(), Event::Claimed)?;
        (row.job.state, row.job.attempt) = (next.state, next.attempt);
        (row.job.started_at, row.job.reason) = (Some(at), None);
        row.token += 1;
        row.lease_until = lease_until;
        row.tell(at, next.attempt);
        row.attempts.push(Attempt::begun(row.token, next.attempt, at));
        // Runs that were given back are those that are no attempts.
        let postponements = row.token - i64::from(next.attempt) - row.retry_token;
        let claimed = Claimed {
            job: row.job.clone(),
            run: row.run(),
            postponements: u32::try_from(postponements).unwrap_or(0),
        };
        self.changes.push(Change::Job(id));
        Ok(claimed)
    }
}
