//! Pauses a kind that does nothing but fail.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use roughneck_jobs::{
    clock::Millis,
    failure::{Failure, code},
    guard::{Breaker, Row},
    pause::{Pause, Scope},
    ports::store::Verdict,
};

/// Whether an attempt failed for a reason that says nothing about its kind: because of the results that its job needs,
/// or because the submitter left too little time.
fn is_of_the_job(failure: &Failure) -> bool {
    [code::DEPENDENCY_RESULT_MISSING, code::DEPENDENCY_RESULTS_TOO_LARGE, code::DEADLINE_PASSED]
        .contains(&failure.code.as_str())
}

/// The failures in a row of each kind, over all its jobs. A restart forgets them: what depends on them
/// is in the store.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<String, Row>>);

impl Breakers {
    /// Hears how an attempt of a kind ended. Returns the pause that follows from it.
    pub(crate) fn hear(
        &self,
        breaker: &Breaker,
        kind: &str,
        verdict: &Verdict,
        at: Millis,
    ) -> Option<Pause> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Done { .. } => {
                rows.remove(kind);
                None
            }
            Verdict::Fail { failure } if is_of_the_job(failure) => None,
            Verdict::Retry { failure, .. } | Verdict::Fail { failure } => {
                let row = rows.entry(kind.to_owned()).or_default();
                row.failed(breaker).then(|| Pause {
                    scope: Scope::Kind(kind.to_owned()),
                    since: at,
                    until: Some(at.plus_ms(breaker.pause_ms)),
                    reason: format!(
                        "{} attempts in a row have failed, the last one with `{}`",
                        row.failures(),
                        failure.code
                    ),
                })
            }
            // None of them is a failure of the work.
            Verdict::Postpone { .. } | Verdict::Cancel { .. } | Verdict::Await { .. } => None,
        }
    }
}
