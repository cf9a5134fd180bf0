//! What is kept, and a store that is opened on it.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use roughneck_jobs::ports::{bell::Bell, store::StoreError};
use tokio::sync::watch;

use crate::tables::Tables;

/// Everything that is kept. A clone is the same one.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Tables>>);

/// A store that is open. Any number may be open on one disk.
pub struct Memory {
    disk: Disk,
    bell: Arc<dyn Bell>,
    /// While true, a claim is made but not yet answered.
    pub(crate) claims_held: watch::Sender<bool>,
    /// While true, no submission is made.
    pub(crate) submissions_held: watch::Sender<bool>,
    /// While true, no attended job begins.
    pub(crate) begins_held: watch::Sender<bool>,
    pub(crate) renewals_held: watch::Sender<bool>,
    /// While true, nobody is told how many jobs there are.
    pub(crate) counts_held: watch::Sender<bool>,
    /// While true, the end of a run is kept but not yet answered.
    pub(crate) ends_held: watch::Sender<bool>,
    /// While true, nobody is shown a job.
    pub(crate) looks_held: watch::Sender<bool>,
}

impl Memory {
    /// Opens a store on a disk. It rings `bell` for what it changes itself.
    #[must_use]
    pub fn open(disk: &Disk, bell: Arc<dyn Bell>) -> Self {
        let [
            claims_held,
            submissions_held,
            begins_held,
            renewals_held,
            counts_held,
            ends_held,
            looks_held,
        ] = [false; 7].map(watch::Sender::new);
        let disk = disk.clone();
        Self {
            disk,
            bell,
            claims_held,
            submissions_held,
            begins_held,
            renewals_held,
            counts_held,
            ends_held,
            looks_held,
        }
    }

    /// Makes a change, and rings for it when it is made.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&mut Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (result, changes) = {
            let mut tables = self.tables();
            let result = change(&mut tables);
            (result, mem::take(&mut tables.changes))
        };
        changes.into_iter().for_each(|change| self.bell.ring(change));
        result
    }

    /// What is kept now. A panic under this lock is one of a test, which has failed then.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.disk.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
