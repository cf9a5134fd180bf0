//! Facts about this run.

pub use crate::bindings::roughneck::plugin::context::{
    Need, attempt, cancelled, config, deadline, idempotency_key, job_id, max_attempts,
    need_failure, need_output, needs, trace_parent,
};

use crate::Failure;

/// Ends the run if nobody wants its result any more. Call it between steps of long work.
///
/// # Errors
/// A cancellation, once the job was cancelled: going on is in vain.
pub fn check_cancelled() -> Result<(), Failure> {
    if cancelled() {
        return Err(Failure::cancel("cancelled", "The job was cancelled while it ran."));
    }
    Ok(())
}
