//! What all services hold.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, Parts, attended::Attendances, breaker::Breakers, drafts::Drafts, openings::Openings,
    runs::Runs,
};

/// What all services hold.
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) config: Config,
    pub(crate) runs: Arc<Runs>,
    /// The jobs whose submitters wait.
    pub(crate) attended: Arc<Attendances>,
    /// Those of them of which nothing is written.
    pub(crate) drafts: Drafts,
    pub(crate) breakers: Breakers,
    pub(crate) openings: Openings,
    /// The attempts under way, and the books of the jobs whose submitters wait.
    pub(crate) attempts: TaskTracker,
    /// Cancelled when the host takes no new work.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when the last attempt has ended: what it left in the outbox is still sent.
    pub(crate) closing: CancellationToken,
}
