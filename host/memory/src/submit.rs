//! Accepting jobs.

use roughneck_jobs::{
    id::JobId,
    job::NewJob,
    past::{Fate, Past},
    ports::{
        bell::Change,
        store::{StoreError, Submitted},
    },
    state::State,
};

use crate::{row::Row, tables::Tables};

impl Tables {
    /// Accepts a job, unless it was accepted before.
    pub(crate) fn submit(&mut self, new: &NewJob) -> Result<Submitted, StoreError> {
        if let Some(known) = self.standing(new) {
            return Ok(Submitted::Existing(known));
        }
        self.check_marks()?;
        self.insert(new);
        Ok(Submitted::Created(new.id))
    }

    /// Keeps a job that is over, by the moves that it would have made.
    pub(crate) fn keep(&mut self, past: &Past) -> Result<Option<State>, StoreError> {
        past.life()?;
        let id = match self.submit(&past.job)? {
            Submitted::Created(id) => id,
            Submitted::Existing(_) => return Ok(None),
        };
        match &past.fate {
            Fate::Ran { began, finish } => {
                let run = self.begin(id, *began, *began)?.run;
                self.finish(run, finish)?;
            }
            Fate::Withdrawn { reason, at } => {
                self.cancel(id, reason, *at)?;
            }
        }
        Ok(Some(self.row(id)?.job.state))
    }

    /// The job that stands in the way of a new one: that of its idempotency key, its id or its unique key.
    fn standing(&self, new: &NewJob) -> Option<JobId> {
        let key = new.idempotency_key.as_ref();
        let of_key = key.and_then(|key| {
            let mut rows = self.jobs.values();
            rows.find(|row| row.idempotency_key.as_ref() == Some(key)).map(|row| row.job.id)
        });
        let of_id = || self.jobs.contains_key(&new.id).then_some(new.id);
        of_key.or_else(of_id).or_else(|| self.unique_holder(new))
    }

    /// The job that has the unique key of a new one.
    pub(crate) fn unique_holder(&self, new: &NewJob) -> Option<JobId> {
        let wanted = new.unique.as_ref()?;
        let holds = |row: &&Row| {
            row.unique.as_ref().is_some_and(|unique| {
                unique.key == wanted.key && unique.until.is_none_or(|until| until > new.enqueued_at)
            })
        };
        self.jobs.values().find(holds).map(|row| row.job.id)
    }

    /// Keeps a job that nothing stands in the way of.
    pub(crate) fn insert(&mut self, new: &NewJob) {
        let row = Row::new(new, self.token_floor);
        self.changes.push(Change::Job(new.id));
        match row.job.state {
            State::Queued => self.changes.push(Change::Class(new.class.clone())),
            State::Scheduled => self.changes.push(Change::Due),
            State::Blocked
            | State::Loading
            | State::Working
            | State::Done
            | State::Failed
            | State::Cancelled => {}
        }
        if new.deadline.is_some() {
            self.changes.push(Change::Due);
        }
        self.jobs.insert(new.id, row);
    }
}
