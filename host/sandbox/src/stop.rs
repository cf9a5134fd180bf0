//! Why the host stopped a guest. It travels through wasmtime as the cause of a trap.

use roughneck_capabilities::Exhausted;
use roughneck_jobs::id::JobId;

/// Why the host stopped a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// More CPU than the manifest allows.
    #[error("the guest used up its CPU limit")]
    Cpu,
    /// More memory or more tables than allowed.
    #[error("the guest wanted more memory than its limit")]
    Memory,
    /// It made host calls far past its budget.
    #[error(transparent)]
    Calls(#[from] Exhausted),
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The run lost its job.
    #[error("the run lost its job")]
    Fenced,
    /// The deadline of the job has passed.
    #[error("the deadline of the job has passed")]
    Overdue,
}

/// The guest waits for these children of its job: the run ends without a failure.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the job waits for its children")]
pub(crate) struct Awaits(pub(crate) Vec<JobId>);
