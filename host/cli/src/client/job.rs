//! A job as the host tells it. States and the like stay text: a newer host may know more of them.

use jiff::Timestamp;
use roughneck_jobs::{clock::Millis, priority::Priority};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// One job, in full or as lists show it.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) class: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) priority: Priority,
    pub(crate) attempt: u32,
    pub(crate) attempts_max: u32,
    pub(crate) losses: u32,
    pub(crate) enqueued_at: At,
    pub(crate) run_at: At,
    pub(crate) deadline: Option<At>,
    pub(crate) started_at: Option<At>,
    pub(crate) finished_at: Option<At>,
    pub(crate) queue_wait_ms: Option<u64>,
    pub(crate) error: Option<Failure>,
    pub(crate) usage: Usage,
    pub(crate) callback: Option<String>,
    pub(crate) trace_parent: Option<String>,
    /// On whose token budget it goes; none of an older host.
    pub(crate) caller: Option<String>,
    pub(crate) plugin: Option<String>,
    pub(crate) schedule: Option<Fire>,
    pub(crate) flow: Option<Member>,
    pub(crate) family: Option<Family>,
    pub(crate) progress: Option<Progress>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) input: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) output: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) attempts: Vec<Attempt>,
    #[serde(default)]
    pub(crate) deliveries: Vec<Delivery>,
}

/// The part of a job in its flow.
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A job among its relatives.
#[derive(Debug, Deserialize)]
pub(crate) struct Family {
    pub(crate) name: Option<String>,
    pub(crate) parent: Option<Relative>,
    /// The first ones.
    pub(crate) children: Vec<Relative>,
    pub(crate) children_count: u64,
}

/// A parent or a child.
#[derive(Debug, Deserialize)]
pub(crate) struct Relative {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: String,
    pub(crate) state: String,
}

/// What made a schedule submit a job.
#[derive(Debug, Deserialize)]
pub(crate) struct Fire {
    pub(crate) id: String,
    pub(crate) fire_at: Option<At>,
}

/// One run of a job.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) run: i64,
    pub(crate) attempt: u32,
    pub(crate) started_at: At,
    pub(crate) finished_at: Option<At>,
    pub(crate) outcome: Option<String>,
    pub(crate) error: Option<Failure>,
    pub(crate) log: Vec<LogLine>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) at: At,
    pub(crate) level: String,
    pub(crate) message: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) detail: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Usage {
    pub(crate) calls: u32,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// None of an older host.
    #[serde(default)]
    pub(crate) wasted_tokens: u64,
    pub(crate) tokens_per_second: Option<f64>,
    pub(crate) queue_ms: u64,
    pub(crate) load_ms: u64,
    pub(crate) prompt_ms: u64,
    pub(crate) generate_ms: u64,
    pub(crate) first_token_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Progress {
    pub(crate) percent: Option<u8>,
    pub(crate) note: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) target: String,
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) attempts: u32,
    pub(crate) next_at: Option<At>,
    pub(crate) last_error: Option<String>,
}

/// An instant as the host wrote it: RFC 3339.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct At(pub(crate) String);

impl At {
    /// None for an instant that no calendar has.
    pub(crate) fn millis(&self) -> Option<Millis> {
        self.0.parse::<Timestamp>().ok().map(|at| Millis(at.as_millisecond()))
    }

    /// Milliseconds from `earlier` to this instant, or none if they are not in that order.
    pub(crate) fn since_ms(&self, earlier: &Self) -> Option<u64> {
        let (from, to) = (earlier.millis()?, self.millis()?);
        (to >= from).then(|| to.since_ms(from))
    }
}

impl Fire {
    /// The fire as one line.
    pub(crate) fn line(&self) -> String {
        match &self.fire_at {
            Some(at) => format!("{}, fire of {}", self.id, at.0),
            None => format!("{}, run by hand", self.id),
        }
    }
}

impl Failure {
    /// The error as one line.
    pub(crate) fn line(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}

impl Job {
    /// Milliseconds that the present run waited for its slot, or has been waiting.
    pub(crate) fn wait_ms(&self, now: Millis) -> Option<u64> {
        match self.state.as_str() {
            "queued" => self.run_at.millis().map(|due| now.since_ms(due)),
            _ => self.queue_wait_ms,
        }
    }

    /// Milliseconds of the last run, or of the present one until now.
    pub(crate) fn run_ms(&self, now: Millis) -> Option<u64> {
        let started = self.started_at.as_ref()?;
        match (&self.finished_at, self.state.as_str()) {
            (Some(finished), _) => finished.since_ms(started),
            (None, "loading" | "working") => started.millis().map(|from| now.since_ms(from)),
            (None, _) => None,
        }
    }
}

/// A value that is there, `null` too: a plugin may return it.
pub(super) fn present<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A job as a host tells it, with some members replaced.
    pub(crate) fn told(changes: &serde_json::Value) -> Job {
        let mut job = serde_json::json!({
            "id": "01K9Z4T8N6Q0V5W3X2Y1R7S9AB", "kind": "echo", "class": "cpu", "state": "done",
            "reason": null, "priority": "normal", "attempt": 1, "attempts_max": 3, "losses": 0,
            "enqueued_at": "2026-01-01T00:00:00.000Z", "run_at": "2026-01-01T00:00:00.000Z",
            "started_at": "2026-01-01T00:00:01.000Z", "finished_at": "2026-01-01T00:00:03.500Z",
            "queue_wait_ms": 1000, "error": null,
            "usage": {"calls": 0, "input_tokens": 0, "output_tokens": 0, "tokens_per_second": null,
                "queue_ms": 0, "load_ms": 0, "prompt_ms": 0, "generate_ms": 0, "first_token_ms": null},
            "callback": null, "trace_parent": null, "plugin": null, "links": {},
        });
        let members = changes.as_object().unwrap().clone();
        job.as_object_mut().unwrap().extend(members);
        serde_json::from_str(&job.to_string()).unwrap()
    }

    /// Ten seconds after the job of [`told`] was submitted.
    pub(crate) const NOW: Millis = Millis(1_767_225_610_000);

    #[test]
    fn a_result_that_is_null_is_a_result() {
        let job = told(&serde_json::json!({ "output": null }));
        assert_eq!(job.output.unwrap().get(), "null");
        assert!(told(&serde_json::json!({})).output.is_none());
    }

    #[test]
    fn waiting_and_running_are_counted_until_now_or_the_end() {
        let job = told(&serde_json::json!({}));
        assert_eq!((job.wait_ms(NOW), job.run_ms(NOW)), (Some(1000), Some(2500)));
        let job = told(&serde_json::json!({ "state": "working", "finished_at": null }));
        assert_eq!((job.wait_ms(NOW), job.run_ms(NOW)), (Some(1000), Some(9000)));
        let waiting = serde_json::json!({
            "state": "queued", "started_at": null, "finished_at": null, "queue_wait_ms": null,
        });
        let job = told(&waiting);
        assert_eq!((job.wait_ms(NOW), job.run_ms(NOW)), (Some(10_000), None));
    }

    #[test]
    fn a_job_that_was_cancelled_before_it_started_never_ran() {
        let job = told(&serde_json::json!({ "state": "cancelled", "started_at": null }));
        assert_eq!(job.run_ms(NOW), None);
    }
}
