//! From the end of a guest to the outcome of its attempt. Pure.
//!
//! Which limit grants another attempt is a judgement: what depends on the moment (time, CPU, memory, a
//! trap) may go better next time and is left to the kind's retry policy; what the plugin does the same
//! way every time (a result that is no JSON or too large, too many host calls) fails at once.

use roughneck_capabilities::clip;
use roughneck_jobs::{
    failure::{Disposition, Failure, MESSAGE_BYTES_MAX, code},
    id::JobId,
    json,
    manifest::Limits,
    ports::runner::Outcome,
};

use crate::{metrics::RunEnd, stop::Stop};

const CODE_BYTES_MAX: usize = 64;
const DETAIL_BYTES_MAX: usize = 16 << 10;

/// Longest wait a guest may ask for: a day.
const RETRY_AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// How a guest came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It returned a result.
    Returned(Vec<u8>),
    /// It returned a failure.
    Failed(Failure),
    /// It waits for these children of its job.
    Awaits(Vec<JobId>),
    /// The host stopped it.
    Stopped(Stop),
    /// Its time was over.
    TimedOut,
    /// It trapped; these are wasm's words.
    Trapped(String),
    /// It needs more memory than its limit before it does anything.
    TooLittleMemory,
    /// The host could not make its instance.
    NoInstance(String),
    /// It could not be started.
    Broken(String),
}

/// The outcome, and how it is counted. `withheld` is why the run was not given the model that it asked for: a guest
/// that fails for this reason, and says so by its code, is put off without losing an attempt, or fails for good
/// if it will never be given it.
pub(crate) fn outcome(
    end: End,
    limits: &Limits,
    timeout_ms: u64,
    withheld: Option<&Failure>,
) -> (RunEnd, Outcome) {
    let failed = |end: RunEnd, failure: Failure| (end, Outcome::Failed(failure));
    match end {
        End::Returned(output) => match result(output, limits.output_bytes_max) {
            Ok(output) => (RunEnd::Done, Outcome::Done { output }),
            Err(failure) => failed(RunEnd::InvalidOutput, failure),
        },
        End::Failed(failure) => match (failure.disposition, withheld) {
            (Disposition::Retry, Some(why)) if failure.code == why.code => match why.disposition {
                Disposition::Retry => (RunEnd::Postponed, Outcome::Postponed(why.clone())),
                // Whatever the guest hopes.
                Disposition::Fail | Disposition::Cancel => failed(RunEnd::Failed, why.clone()),
            },
            (Disposition::Retry | Disposition::Fail | Disposition::Cancel, _) => {
                failed(RunEnd::Failed, bounded(failure))
            }
        },
        End::Awaits(children) => (RunEnd::Waiting, Outcome::Awaits(children)),
        End::Stopped(stop) => stopped(stop, limits),
        End::TimedOut => {
            let sentence = format!(
                "the attempt took longer than its timeout of {timeout_ms} ms; raise the kind's `timeout` in plugin.toml"
            );
            failed(RunEnd::Timeout, Failure::retry(code::TIMEOUT, sentence))
        }
        End::Trapped(message) => {
            let sentence = format!("the plugin crashed: {message}");
            failed(RunEnd::Trapped, Failure::retry(code::TRAPPED, sentence))
        }
        End::TooLittleMemory => {
            let sentence = format!(
                "the plugin needs more memory to start than its limit of {} bytes; raise `limits.memory` in plugin.toml",
                limits.memory_bytes_max
            );
            failed(RunEnd::OutOfMemory, Failure::fatal(code::OUT_OF_MEMORY, sentence))
        }
        End::NoInstance(message) => {
            let sentence = format!(
                "the host could not start the plugin: {message}; it may be short of memory"
            );
            failed(RunEnd::Broken, Failure::retry(code::PLUGIN_BROKEN, sentence))
        }
        End::Broken(message) => {
            let sentence = format!("the plugin could not be started: {message}");
            failed(RunEnd::Broken, Failure::fatal(code::PLUGIN_BROKEN, sentence))
        }
    }
}

fn stopped(stop: Stop, limits: &Limits) -> (RunEnd, Outcome) {
    let (end, failure) = match stop {
        Stop::Cpu => {
            let sentence = format!(
                "the plugin computed longer than its limit of {} ms; raise `limits.cpu` in plugin.toml",
                limits.cpu_ms_max
            );
            (RunEnd::CpuLimit, Failure::retry(code::CPU_LIMIT, sentence))
        }
        Stop::Memory => {
            let sentence = format!(
                "the plugin wanted more memory than its limit of {} bytes; raise `limits.memory` in plugin.toml",
                limits.memory_bytes_max
            );
            (RunEnd::OutOfMemory, Failure::retry(code::OUT_OF_MEMORY, sentence))
        }
        Stop::Calls(exhausted) => {
            let failure = Failure::fatal(code::HOST_CALL_LIMIT, exhausted.to_string());
            (RunEnd::HostCallLimit, failure)
        }
        Stop::Cancelled => {
            let failure = Failure::fatal(code::CANCELLED, "the job was cancelled while it ran");
            (RunEnd::Cancelled, Failure { disposition: Disposition::Cancel, ..failure })
        }
        Stop::Fenced => {
            let failure = Failure::retry(code::FENCED, "the run lost its job");
            (RunEnd::Fenced, failure)
        }
        Stop::Overdue => {
            let sentence = "the deadline of the job passed while it ran";
            (RunEnd::Overdue, Failure::fatal(code::DEADLINE_PASSED, sentence))
        }
    };
    (end, Outcome::Failed(failure))
}

fn result(output: Vec<u8>, bytes_max: u64) -> Result<String, Failure> {
    let invalid = |sentence: String| Failure::fatal(code::INVALID_OUTPUT, sentence);
    if u64::try_from(output.len()).map_or(true, |bytes| bytes > bytes_max) {
        return Err(invalid(format!(
            "the result has {} bytes, more than its limit of {bytes_max}; raise `limits.output` in plugin.toml",
            output.len()
        )));
    }
    let not_json = |why: &dyn std::fmt::Display| {
        invalid(format!("the result is not JSON that can be kept ({why}); return JSON from `run`"))
    };
    let text = String::from_utf8(output).map_err(|error| not_json(&error.utf8_error()))?;
    json::check(&text).map_err(|error| not_json(&error))?;
    Ok(text)
}

/// A guest's failure within the bounds of what the store keeps and people read.
fn bounded(failure: Failure) -> Failure {
    let code = clip(&failure.code, CODE_BYTES_MAX);
    let is_detail =
        |detail: &String| detail.len() <= DETAIL_BYTES_MAX && json::check(detail).is_ok();
    Failure {
        disposition: failure.disposition,
        code: if code.is_empty() { "failed".to_owned() } else { code },
        message: clip(&failure.message, MESSAGE_BYTES_MAX),
        retry_after_ms: match failure.disposition {
            Disposition::Retry => failure.retry_after_ms.map(|ms| ms.min(RETRY_AFTER_MS_MAX)),
            Disposition::Fail | Disposition::Cancel => None,
        },
        detail: failure.detail.filter(is_detail),
    }
}

#[cfg(test)]
mod tests {
    use roughneck_capabilities::Exhausted;

    use super::*;

    fn of(end: End) -> (RunEnd, Outcome) {
        let limits = Limits { output_bytes_max: 8, ..Limits::default() };
        outcome(end, &limits, 2000, None)
    }

    #[test]
    fn every_limit_has_its_code_its_disposition_and_a_sentence_that_names_the_key() {
        use Disposition::{Cancel, Fail, Retry};
        let calls = Stop::Calls(Exhausted { calls_max: 7 });
        let table = [
            (End::TimedOut, RunEnd::Timeout, Retry, "timeout", "timeout of 2000 ms"),
            (End::Stopped(Stop::Cpu), RunEnd::CpuLimit, Retry, "cpu-limit", "`limits.cpu`"),
            (
                End::Stopped(Stop::Memory),
                RunEnd::OutOfMemory,
                Retry,
                "out-of-memory",
                "`limits.memory`",
            ),
            (End::Stopped(calls), RunEnd::HostCallLimit, Fail, "host-call-limit", "limit of 7"),
            (End::Stopped(Stop::Cancelled), RunEnd::Cancelled, Cancel, "cancelled", "cancelled"),
            (End::Stopped(Stop::Fenced), RunEnd::Fenced, Retry, "fenced", "lost its job"),
            (End::Stopped(Stop::Overdue), RunEnd::Overdue, Fail, "deadline-passed", "deadline"),
            (End::Trapped("boom".into()), RunEnd::Trapped, Retry, "trapped", "crashed: boom"),
            (
                End::TooLittleMemory,
                RunEnd::OutOfMemory,
                Fail,
                "out-of-memory",
                "to start than its limit of 67108864 bytes",
            ),
            (
                End::NoInstance("mmap".into()),
                RunEnd::Broken,
                Retry,
                "plugin-broken",
                "could not start the plugin: mmap",
            ),
            (End::Broken("odd".into()), RunEnd::Broken, Fail, "plugin-broken", "started: odd"),
            (
                End::Returned(vec![b'1'; 9]),
                RunEnd::InvalidOutput,
                Fail,
                "invalid-output",
                "`limits.output`",
            ),
            (
                End::Returned(b"{".to_vec()),
                RunEnd::InvalidOutput,
                Fail,
                "invalid-output",
                "not JSON",
            ),
            (End::Returned(vec![0xff]), RunEnd::InvalidOutput, Fail, "invalid-output", "not JSON"),
            (
                End::Returned(b"1 2".to_vec()),
                RunEnd::InvalidOutput,
                Fail,
                "invalid-output",
                "not JSON",
            ),
        ];
        for (end, counted, disposition, code, sentence) in table {
            let (run_end, outcome) = of(end.clone());
            let Outcome::Failed(failure) = outcome else { panic!("{end:?}: {outcome:?}") };
            assert_eq!(
                (run_end, failure.disposition, failure.code.as_str()),
                (counted, disposition, code)
            );
            assert!(failure.message.contains(sentence), "{}", failure.message);
        }
    }

    #[test]
    fn a_result_that_few_could_read_is_none() {
        let output = format!("{}{}", "[".repeat(101), "]".repeat(101)).into_bytes();
        let (end, outcome) = outcome(End::Returned(output), &Limits::default(), 1, None);
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!((end, failure.code.as_str()), (RunEnd::InvalidOutput, "invalid-output"));
        assert!(failure.message.contains("deeper than 100 levels"), "{}", failure.message);
    }

    #[test]
    fn a_result_within_the_limit_is_done_as_it_was_written() {
        let (end, outcome) = of(End::Returned(b"{ \"a\":1}".to_vec()));
        assert_eq!((end, outcome), (RunEnd::Done, Outcome::Done { output: "{ \"a\":1}".into() }));
    }

    #[test]
    fn only_a_failure_because_ollama_is_down_is_no_fault_of_the_job() {
        let down = Failure::retry(code::OLLAMA_UNAVAILABLE, "nobody listens");
        let end = |failure| outcome(End::Failed(failure), &Limits::default(), 1, Some(&down)).1;
        let retry = Failure::retry(code::OLLAMA_UNAVAILABLE, "no model");
        assert_eq!(end(retry), Outcome::Postponed(down.clone()));
        let of_its_own = Failure::retry("summary-failed", "the text is too short");
        assert_eq!(end(of_its_own.clone()), Outcome::Failed(of_its_own));
        let fatal = Failure::fatal("invalid-input", "no text");
        assert_eq!(end(fatal.clone()), Outcome::Failed(fatal));
    }

    #[test]
    fn a_failure_for_what_will_never_be_there_is_not_tried_again() {
        let down = Failure::fatal(code::JOB_OVER_BUDGET, "the job has used its tokens");
        let hopeful = End::Failed(Failure::retry(code::JOB_OVER_BUDGET, "later"));
        let (end, outcome) = outcome(hopeful, &Limits::default(), 1, Some(&down));
        assert_eq!((end, outcome), (RunEnd::Failed, Outcome::Failed(down)));
    }

    #[test]
    fn a_guest_s_failure_is_bounded() {
        let failure = Failure {
            disposition: Disposition::Retry,
            code: String::new(),
            message: "x".repeat(1 << 20),
            retry_after_ms: Some(u64::MAX),
            detail: Some("no json".into()),
        };
        let (_, Outcome::Failed(failure)) = of(End::Failed(failure)) else { panic!() };
        assert_eq!((failure.code.as_str(), failure.message.len()), ("failed", MESSAGE_BYTES_MAX));
        assert_eq!((failure.retry_after_ms, failure.detail), (Some(RETRY_AFTER_MS_MAX), None));
    }

    #[test]
    fn a_delay_makes_no_sense_without_another_attempt() {
        let failure = Failure { retry_after_ms: Some(5), ..Failure::fatal("no", "no") };
        let (_, Outcome::Failed(failure)) = of(End::Failed(failure)) else { panic!() };
        assert_eq!(failure.retry_after_ms, None);
    }
}
