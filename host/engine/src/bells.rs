//! The bells of this host: they wake its services and whoever watches a job.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use roughneck_jobs::{
    class::Class,
    id::JobId,
    ports::{
        bell::{Bell, Change},
        control::Watch,
    },
};
use tokio::sync::{Notify, watch};

/// Wakes services and watchers. Made before the store and the lane, which ring it.
#[derive(Default)]
pub struct Bells {
    classes: Mutex<BTreeSet<Class>>,
    pub(crate) dispatch: Notify,
    pub(crate) due: Notify,
    pub(crate) deliveries: Notify,
    pub(crate) schedules: Notify,
    pub(crate) runs: Notify,
    /// Only jobs that somebody watches have an entry.
    watched: Mutex<HashMap<JobId, watch::Sender<()>>>,
}

impl Bells {
    /// The classes that were rung for since the last call.
    pub(crate) fn take_classes(&self) -> BTreeSet<Class> {
        std::mem::take(&mut *lock(&self.classes))
    }

    /// A watch on a job, from now on.
    pub(crate) fn watch(self: &Arc<Self>, job: JobId) -> JobWatch {
        let mut watched = lock(&self.watched);
        let sender = watched.entry(job).or_insert_with(|| watch::Sender::new(()));
        JobWatch { job, bells: Arc::clone(self), receiver: Some(sender.subscribe()) }
    }
}

impl Bell for Bells {
    fn ring(&self, change: Change) {
        match change {
            Change::Job(job) => {
                if let Some(sender) = lock(&self.watched).get(&job) {
                    sender.send_replace(());
                }
            }
            Change::Class(class) => {
                lock(&self.classes).insert(class);
                self.dispatch.notify_one();
            }
            Change::Due => self.due.notify_one(),
            Change::Delivery => self.deliveries.notify_one(),
            Change::Schedule => self.schedules.notify_one(),
            Change::Runs => self.runs.notify_one(),
        }
    }
}

/// A watch on one job; its entry goes with the last one.
pub(crate) struct JobWatch {
    job: JobId,
    bells: Arc<Bells>,
    /// None only while it is dropped: it must go before the lock does, or two watches that end at
    /// the same moment would each leave the entry to the other.
    receiver: Option<watch::Receiver<()>>,
}

#[async_trait]
impl Watch for JobWatch {
    async fn changed(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The sender lives at least as long as this receiver.
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for JobWatch {
    fn drop(&mut self) {
        let mut watched = lock(&self.bells.watched);
        self.receiver = None;
        if watched.get(&self.job).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(&self.job);
        }
    }
}

/// A poisoned lock holds plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_sees_every_ring_after_it_began_and_leaves_nothing_behind() {
        let bells = Arc::new(Bells::default());
        let job: JobId = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".parse().unwrap();
        let (mut first, mut second) = (bells.watch(job), bells.watch(job));
        bells.ring(Change::Job(job));
        first.changed().await;
        second.changed().await;
        drop(first);
        assert_eq!(lock(&bells.watched).len(), 1);
        drop(second);
        assert!(lock(&bells.watched).is_empty());
    }

    #[test]
    fn classes_are_taken_once() {
        let bells = Bells::default();
        bells.ring(Change::Class(Class("io".into())));
        bells.ring(Change::Class(Class("io".into())));
        assert_eq!(bells.take_classes().len(), 1);
        assert!(bells.take_classes().is_empty());
    }
}
