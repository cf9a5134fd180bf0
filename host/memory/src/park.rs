//! Jobs whose concurrency key is taken.

use roughneck_jobs::{
    clock::Millis, id::JobId, input_key::ConcurrencyKey, lifecycle::Event,
    ports::store::StoreError, step::Step,
};

use crate::tables::Tables;

impl Tables {
    /// Whether a place of the key is free.
    pub(crate) fn has_room(&self, key: &ConcurrencyKey) -> bool {
        let rows = self.jobs.values().filter(|row| row.job.state.is_running());
        let of_key = rows.filter_map(|row| row.concurrency.as_ref()).filter(|it| it.key == key.key);
        of_key.count() < key.limit as usize
    }

    /// Lets a job wait until a place of its key is free.
    pub(crate) fn park(&mut self, id: JobId, at: Millis) -> Result<(), StoreError> {
        let reason = "other jobs of its concurrency key run";
        self.make(id, Step::because(Event::Parked, at, reason)).map(drop)
    }

    /// Queues the best of the jobs that are parked for a key. Should it be taken by the time that one is
    /// claimed, it is parked again.
    pub(crate) fn unpark(&mut self, key: &str, at: Millis) -> Result<(), StoreError> {
        let of_key = |it: &ConcurrencyKey| it.key == key;
        let parked = self.jobs.values().filter(|row| row.is_parked);
        let parked = parked.filter(|row| row.concurrency.as_ref().is_some_and(of_key));
        let best = parked.min_by_key(|row| (row.job.rank, row.job.id)).map(|row| row.job.id);
        match best {
            Some(id) => self.make(id, Step::new(Event::Unparked, at)).map(drop),
            None => Ok(()),
        }
    }
}
