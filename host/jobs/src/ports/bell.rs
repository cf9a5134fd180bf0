//! Notifications inside the host. They wake and carry no facts: whoever is woken reads the store.

use crate::{class::Class, id::JobId};

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This job.
    Job(JobId),
    /// Jobs of this class may be ready, or a slot of it free, and no claim that came with the change has seen to it.
    Class(Class),
    /// A job became due later than now.
    Due,
    /// A delivery waits.
    Delivery,
    /// Runs may have lost their jobs.
    Runs,
    /// A schedule was made, changed, paused, resumed or deleted.
    Schedule,
}

/// Rung after a commit, by whoever made it. It must return at once.
pub trait Bell: Send + Sync {
    /// Wakes whoever cares about `change`.
    fn ring(&self, change: Change);
}
