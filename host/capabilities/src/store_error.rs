//! What a guest learns about the store's troubles: not its paths and not its SQL.

use roughneck_jobs::{failure::code, mark::Passed, ports::store::StoreError};

use crate::HostError;

/// Milliseconds after which a full host may have room again.
const FULL_MS: u64 = 10_000;

/// The error as a guest sees it.
pub(crate) fn store_error(error: &StoreError) -> HostError {
    match error {
        StoreError::Fenced
        | StoreError::Refused(_)
        | StoreError::NoSuchJob(_)
        | StoreError::NoSuchFlow(_)
        | StoreError::JobExists(_) => HostError::fatal(
            code::FENCED,
            "this run has lost its job and may cause nothing any more; return from `run`",
        ),
        StoreError::Full(passed) => full(passed),
        StoreError::Broken { .. } | StoreError::DiskFull { .. } | StoreError::Dead => {
            HostError::retryable(
                code::STORE_FAILED,
                "the host's store failed; try again later, and see the host's log",
            )
        }
        StoreError::Closed => {
            HostError::retryable("stopping", "the host stops; fail with `retry` to run again later")
        }
    }
}

fn full(passed: &Passed) -> HostError {
    let sentence =
        format!("the host takes no new jobs now: {passed}; fail with `retry` to run again later");
    HostError { retry_after_ms: Some(FULL_MS), ..HostError::retryable("intake-full", sentence) }
}
