//! One run of a job: who holds it, and until when.

use crate::id::JobId;

/// How long a claim holds without a renewal, in milliseconds.
pub const LEASE_MS: u64 = 60_000;

/// How often the host renews its leases: three chances before one expires.
pub const HEARTBEAT_MS: u64 = LEASE_MS / 3;

/// Runs a job may lose with their host before it is held to be poison.
pub const LOSSES_MAX: u32 = 3;

/// The right to run a job. `token` is the fence: it grows with every claim for the life of the job
/// and is never reset, so a run that was given up can never be mistaken for the present one. Every
/// write of a run carries both and must touch exactly one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The job.
    pub job: JobId,
    /// The fencing token, 1 for the first run.
    pub token: i64,
}
