//! When a job must be over, whatever state it is in by then.

use serde::{Deserialize, Deserializer, de};

use crate::{
    clock::Millis,
    failure::{Failure, code},
    intake::{NotAccepted, RUN_AT_MS_MAX},
    manifest::text,
    ports::store::Verdict,
    state::State,
};

/// A deadline as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// An instant.
    At(Millis),
    /// A time after the job is accepted.
    After {
        /// In milliseconds.
        ms: u64,
    },
}

impl Deadline {
    /// The instant that is meant for a job which is accepted `now` and may begin at `run_at`.
    ///
    /// # Errors
    /// [`NotAccepted`] if the job could never run, or if it is too far away to be meant.
    pub fn of(self, now: Millis, run_at: Millis) -> Result<Millis, NotAccepted> {
        let at = match self {
            Self::At(at) => at,
            Self::After { ms } => now.plus_ms(ms),
        };
        if at <= now {
            Err(NotAccepted::DeadlinePassed)
        } else if at <= run_at {
            Err(NotAccepted::DeadlineTooEarly)
        } else if at.since_ms(run_at) > RUN_AT_MS_MAX {
            Err(NotAccepted::DeadlineTooLate)
        } else {
            Ok(at)
        }
    }
}

/// Reads what a submission says.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Deadline>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Millis(i64),
        Text(String),
    }
    let wrong = || {
        de::Error::custom(
            "`deadline` must be a duration such as `5m`, RFC 3339, such as 2027-01-31T06:00:00Z, \
             or Unix milliseconds, and at most a year away",
        )
    };
    match Option::<Written>::deserialize(deserializer).map_err(|_| wrong())? {
        None => Ok(None),
        Some(Written::Millis(ms)) => Ok(Some(Deadline::At(Millis(ms)))),
        Some(Written::Text(written)) => {
            if let Ok(ms) = text::duration_ms(&written) {
                return Ok(Some(Deadline::After { ms }));
            }
            let at = written.parse().map_err(|_| wrong())?;
            Ok(Some(Deadline::At(at)))
        }
    }
}

/// The failure of a job that was in `state` at its deadline; `last` is that of its last attempt.
#[must_use]
pub fn passed(state: State, deadline: Millis, last: Option<&Failure>) -> Failure {
    let doing = match state {
        State::Blocked => "it still had to wait",
        State::Scheduled => "its time had not come",
        State::Queued => "it waited for a slot",
        State::Loading => "it waited for its model",
        State::Working | State::Done | State::Failed | State::Cancelled => "it ran",
    };
    let before = last.map_or_else(String::new, |last| {
        format!("; before, it had failed with `{}`: {}", last.code, last.message)
    });
    let message = format!("it was not over at its deadline, {deadline}: {doing}{before}");
    Failure::fatal(code::DEADLINE_PASSED, message)
}

/// What a verdict at the instant `at` becomes by the deadline of its job: after it nothing succeeds, and
/// nothing is put off beyond it.
#[must_use]
pub fn bound(verdict: Verdict, deadline: Option<Millis>, at: Millis) -> Verdict {
    let Some(deadline) = deadline else { return verdict };
    if at >= deadline {
        return Verdict::Fail { failure: passed(State::Working, deadline, None) };
    }
    match verdict {
        Verdict::Retry { delay_ms, failure } | Verdict::Postpone { delay_ms, failure }
            if at.plus_ms(delay_ms) >= deadline =>
        {
            Verdict::Fail { failure: too_late(deadline, failure) }
        }
        Verdict::Done { .. }
        | Verdict::Retry { .. }
        | Verdict::Fail { .. }
        | Verdict::Postpone { .. }
        | Verdict::Await { .. }
        | Verdict::Cancel { .. } => verdict,
    }
}

fn too_late(deadline: Millis, last: Failure) -> Failure {
    let message = format!(
        "it could not run again before its deadline, {deadline}; its last attempt failed with `{}`: {}",
        last.code, last.message
    );
    Failure { detail: last.detail, ..Failure::fatal(code::DEADLINE_PASSED, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn read_one(json: &str) -> Result<Option<Deadline>, String> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(default, deserialize_with = "read")]
            deadline: Option<Deadline>,
        }
        let written: Result<Written, _> = serde_json::from_str(&format!("{{{json}}}"));
        written.map(|written| written.deadline).map_err(|error| error.to_string())
    }

    #[test]
    fn a_deadline_is_a_duration_rfc_3339_or_milliseconds() {
        let table = [
            ("", None),
            ("\"deadline\":null", None),
            ("\"deadline\":\"5m\"", Some(Deadline::After { ms: 300_000 })),
            ("\"deadline\":\"7d\"", Some(Deadline::After { ms: 7 * 86_400_000 })),
            ("\"deadline\":5", Some(Deadline::At(Millis(5)))),
            (
                "\"deadline\":\"2027-01-31T06:00:00Z\"",
                Some(Deadline::At(Millis(1_801_375_200_000))),
            ),
        ];
        for (json, expected) in table {
            assert_eq!(read_one(json), Ok(expected), "{json}");
        }
        for json in ["\"deadline\":\"soon\"", "\"deadline\":\"-5m\"", "\"deadline\":{}"] {
            assert!(read_one(json).unwrap_err().contains("a duration such as `5m`"), "{json}");
        }
    }

    #[test]
    fn a_deadline_that_leaves_the_job_no_time_is_refused() {
        let run_at = NOW.plus_ms(60_000);
        let table = [
            (Deadline::After { ms: 60_001 }, Ok(NOW.plus_ms(60_001))),
            (Deadline::At(run_at.plus_ms(1)), Ok(run_at.plus_ms(1))),
            (Deadline::After { ms: 60_000 }, Err(NotAccepted::DeadlineTooEarly)),
            (Deadline::After { ms: 0 }, Err(NotAccepted::DeadlinePassed)),
            (Deadline::At(Millis(1_800_000_000)), Err(NotAccepted::DeadlinePassed)),
            (Deadline::After { ms: u64::MAX }, Err(NotAccepted::DeadlineTooLate)),
        ];
        for (deadline, expected) in table {
            assert_eq!(deadline.of(NOW, run_at), expected, "{deadline:?}");
        }
    }

    #[test]
    fn nothing_is_put_off_beyond_the_deadline_and_nothing_succeeds_after_it() {
        let failure = Failure {
            detail: Some("7".to_owned()),
            retry_after_ms: Some(9),
            ..Failure::retry("unavailable", "not now")
        };
        let done = || Verdict::Done { output: "{}".to_owned() };
        let retry = |delay_ms| Verdict::Retry { delay_ms, failure: failure.clone() };
        let postpone = |delay_ms| Verdict::Postpone { delay_ms, failure: failure.clone() };
        let deadline = Some(NOW.plus_ms(10));
        for verdict in [done(), retry(9), postpone(9)] {
            assert_eq!(bound(verdict.clone(), deadline, NOW), verdict);
            assert_eq!(bound(verdict.clone(), None, Millis(i64::MAX)), verdict);
        }
        for verdict in [retry(10), postpone(u64::MAX)] {
            let Verdict::Fail { failure } = bound(verdict, deadline, NOW) else { panic!() };
            assert_eq!((failure.code.as_str(), failure.retry_after_ms), ("deadline-passed", None));
            assert_eq!(failure.detail.as_deref(), Some("7"));
            assert!(failure.message.ends_with("failed with `unavailable`: not now"), "{failure:?}");
        }
        for verdict in [done(), retry(0), Verdict::Cancel { failure: failure.clone() }] {
            let Verdict::Fail { failure } = bound(verdict, deadline, NOW.plus_ms(10)) else {
                panic!()
            };
            assert_eq!(failure.code, "deadline-passed");
        }
    }

    #[test]
    fn the_sentence_says_what_the_job_did_at_its_deadline_and_how_it_failed_before() {
        let last = Failure::retry("unavailable", "not now");
        assert_eq!(
            passed(State::Queued, NOW, None).message,
            "it was not over at its deadline, 2027-01-15T08:00:00.000Z: it waited for a slot"
        );
        assert!(
            passed(State::Scheduled, NOW, Some(&last)).message.ends_with(
                "its time had not come; before, it had failed with `unavailable`: not now"
            )
        );
    }
}
