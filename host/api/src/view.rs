//! A job as clients see it. Instants are RFC 3339, durations milliseconds, and the plugin's JSON is
//! JSON, not text in quotes.

use std::borrow::Cow;

use roughneck_jobs::{
    caller::Caller,
    child::Family,
    class::OLLAMA,
    clock::Millis,
    delivery::{Delivery, DeliveryState},
    event::Live,
    failure::FailureView,
    flow::Member,
    id::{DeliveryId, FlowId, JobId},
    job::{Attempt, Job, LogLevel, LogLine},
    json::raw,
    model::Health,
    pause::{Pause, Scope},
    priority::Priority,
    schedule::Fire,
    state::State,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{family_view::FamilyView, usage_view::UsageView};

/// One job. Lists leave out the input, the output and everything that has rows of its own.
#[derive(Debug, Serialize)]
pub(crate) struct JobView<'a> {
    pub(crate) id: JobId,
    kind: &'a str,
    class: &'a str,
    state: State,
    reason: Option<Cow<'a, str>>,
    priority: Priority,
    attempt: u32,
    attempts_max: u32,
    losses: u32,
    enqueued_at: At,
    run_at: At,
    deadline: Option<At>,
    started_at: Option<At>,
    finished_at: Option<At>,
    /// How long the present or last run had to wait for a slot.
    queue_wait_ms: Option<u64>,
    error: Option<FailureView<'a>>,
    usage: UsageView,
    callback: Option<String>,
    trace_parent: Option<&'a str>,
    /// On whose token budget it goes.
    caller: Option<&'a Caller>,
    /// Digest of the plugin that ran it last.
    plugin: Option<&'a str>,
    /// The schedule it is a job of.
    schedule: Option<FireView<'a>>,
    /// The flow it is a job of.
    flow: Option<MemberView<'a>>,
    links: Links,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<FamilyView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DeliveryView<'a>>>,
}

/// Where to go on from a job.
#[derive(Debug, Serialize)]
pub(crate) struct Links {
    #[serde(rename = "self")]
    job: String,
    events: String,
}

/// The part of a job in its flow.
#[derive(Debug, Serialize)]
struct MemberView<'a> {
    id: FlowId,
    /// The job's name in it.
    name: &'a str,
    /// Needed jobs that are not over.
    waits: u32,
}

/// What made a schedule submit the job.
#[derive(Debug, Serialize)]
struct FireView<'a> {
    id: &'a str,
    /// The instant of the schedule, or null if somebody ran it by hand.
    fire_at: Option<At>,
    by_hand: bool,
}

/// An instant, written as RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) Millis);

#[derive(Debug, Serialize)]
struct AttemptView<'a> {
    run: i64,
    attempt: u32,
    started_at: At,
    finished_at: Option<At>,
    outcome: Option<&'a str>,
    error: Option<FailureView<'a>>,
    usage: UsageView,
    log: Vec<LogLineView<'a>>,
}

#[derive(Debug, Serialize)]
struct LogLineView<'a> {
    at: At,
    level: LogLevel,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct DeliveryView<'a> {
    id: DeliveryId,
    target: String,
    event: &'a str,
    state: DeliveryState,
    attempts: u32,
    /// None once it was taken or given up.
    next_at: Option<At>,
    finished_at: Option<At>,
    last_error: Option<&'a str>,
}

/// How far a running job is.
#[derive(Debug, Serialize)]
pub(crate) struct ProgressView<'a> {
    percent: Option<u8>,
    note: &'a str,
    attempt: u32,
    run: i64,
}

impl<'a> JobView<'a> {
    /// What a list shows.
    pub(crate) fn summary(job: &'a Job) -> Self {
        // Between two attempts the last start lies before the next due time, and nothing waits yet.
        let queue_wait_ms = job
            .started_at
            .filter(|started_at| *started_at >= job.run_at)
            .map(|started_at| started_at.since_ms(job.run_at));
        Self {
            id: job.id,
            kind: &job.kind,
            class: &job.class.0,
            state: job.state,
            reason: reason(job),
            priority: job.priority,
            attempt: job.attempt,
            attempts_max: job.attempts_max,
            losses: job.losses,
            enqueued_at: At(job.enqueued_at),
            run_at: At(job.run_at),
            deadline: job.deadline.map(At),
            started_at: job.started_at.map(At),
            finished_at: job.finished_at.map(At),
            queue_wait_ms,
            error: job.failure.as_ref().map(FailureView::from),
            usage: UsageView::from(&job.usage),
            callback: job.callback.as_ref().map(ToString::to_string),
            trace_parent: job.trace_parent.as_deref(),
            caller: job.caller.as_ref(),
            plugin: job.plugin.as_deref(),
            schedule: job.fire.as_ref().map(FireView::from),
            flow: job.member.as_ref().map(MemberView::from),
            links: Links::of(job.id),
            family: None,
            progress: None,
            input: None,
            output: None,
            attempts: None,
            deliveries: None,
        }
    }

    /// The job with its input and, once done, its output.
    pub(crate) fn with_data(job: &'a Job) -> Self {
        Self {
            input: raw(&job.input),
            output: job.output.as_deref().and_then(raw),
            ..Self::summary(job)
        }
    }

    /// Adds what the job has been through.
    pub(crate) fn with_history(self, attempts: &'a [Attempt], deliveries: &'a [Delivery]) -> Self {
        Self {
            attempts: Some(attempts.iter().map(AttemptView::from).collect()),
            deliveries: Some(deliveries.iter().map(DeliveryView::from).collect()),
            ..self
        }
    }

    /// Adds its parent and its children, and says for how many of them it waits.
    pub(crate) fn with_family(self, family: &'a Family) -> Self {
        let family = FamilyView::of(family);
        let reason = family.as_ref().and_then(FamilyView::reason);
        Self { reason: reason.or(self.reason), family, ..self }
    }

    /// Says why a job waits whose class or kind is paused.
    pub(crate) fn with_pauses(self, pauses: &[Pause], now: Millis) -> Self {
        let (class, kind) =
            (Scope::Class(self.class.to_owned()), Scope::Kind(self.kind.to_owned()));
        let stops =
            |pause: &&Pause| !pause.is_over(now) && (pause.scope == class || pause.scope == kind);
        match pauses.iter().find(stops) {
            Some(Pause { scope, reason, .. }) if self.state == State::Queued => {
                let reason = format!("its {} is paused: {reason}", scope.noun());
                Self { reason: Some(Cow::Owned(reason)), ..self }
            }
            Some(_) | None => self,
        }
    }

    /// Says why a job waits that only waits for Ollama; the store does not know.
    pub(crate) fn with_health(self, health: &Health) -> Self {
        let waits = self.state == State::Queued && self.class == OLLAMA;
        match health {
            Health::Down { reason } if waits => {
                Self { reason: Some(Cow::Owned(format!("waits for Ollama: {reason}"))), ..self }
            }
            Health::Down { .. } | Health::OnTrial { .. } | Health::Up { .. } | Health::Unknown => {
                self
            }
        }
    }

    /// Adds how far it is.
    pub(crate) fn with_progress(self, live: Option<&'a Live>) -> Self {
        Self { progress: live.map(ProgressView::from), ..self }
    }
}

/// Why it waits or why it ended. That it waits for other jobs, its count says.
fn reason(job: &Job) -> Option<Cow<'_, str>> {
    let waits = job.member.as_ref().map_or(0, |member| member.waits);
    match (&job.reason, waits) {
        (_, 1) => Some(Cow::Borrowed("waits for another job of its flow")),
        (_, 2..) => Some(Cow::Owned(format!("waits for {waits} other jobs of its flow"))),
        (reason, 0) => reason.as_deref().map(Cow::Borrowed),
    }
}

impl<'a> From<&'a Member> for MemberView<'a> {
    fn from(member: &'a Member) -> Self {
        Self { id: member.flow, name: &member.name, waits: member.waits }
    }
}

impl Links {
    pub(crate) fn of(id: JobId) -> Self {
        Self { job: format!("/jobs/{id}"), events: format!("/jobs/{id}/events") }
    }
}

impl<'a> From<&'a Fire> for FireView<'a> {
    fn from(fire: &'a Fire) -> Self {
        Self { id: &fire.schedule, fire_at: fire.at.map(At), by_hand: fire.at.is_none() }
    }
}

impl Serialize for At {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            run: attempt.run,
            attempt: attempt.attempt,
            started_at: At(attempt.started_at),
            finished_at: attempt.finished_at.map(At),
            outcome: attempt.outcome.as_deref(),
            error: attempt.failure.as_ref().map(FailureView::from),
            usage: UsageView::from(&attempt.usage),
            log: attempt.log.iter().map(LogLineView::from).collect(),
        }
    }
}

impl<'a> From<&'a LogLine> for LogLineView<'a> {
    fn from(line: &'a LogLine) -> Self {
        Self { at: At(line.at), level: line.level, message: &line.message }
    }
}

impl<'a> From<&'a Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            id: delivery.id,
            target: delivery.target.to_string(),
            event: &delivery.event,
            state: delivery.state,
            attempts: delivery.attempts,
            next_at: (delivery.state == DeliveryState::Pending).then_some(At(delivery.next_at)),
            finished_at: delivery.finished_at.map(At),
            last_error: delivery.last_error.as_deref(),
        }
    }
}

impl<'a> From<&'a Live> for ProgressView<'a> {
    fn from(live: &'a Live) -> Self {
        Self { percent: live.percent, note: &live.note, attempt: live.attempt, run: live.run }
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::failure::Failure;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{a_job, flow_id};

    #[test]
    fn the_plugin_s_json_keeps_its_bytes() {
        let job = Job { output: Some(r#"{"z":1.0,"a":[ ]}"#.into()), ..a_job() };
        let text = serde_json::to_string(&JobView::with_data(&job)).unwrap();
        assert!(text.contains(r#""output":{"z":1.0,"a":[ ]}"#), "{text}");
    }

    #[test]
    fn a_job_of_a_schedule_says_which_fire_it_answers_or_that_it_was_run_by_hand() {
        let shown = |at| {
            let fire = Some(Fire { schedule: "p/s".into(), at });
            serde_json::to_value(JobView::summary(&Job { fire, ..a_job() })).unwrap()["schedule"]
                .clone()
        };
        let at = "1970-01-01T00:00:00.007Z";
        assert_eq!(shown(Some(Millis(7))), json!({"id": "p/s", "fire_at": at, "by_hand": false}));
        assert_eq!(shown(None), json!({"id": "p/s", "fire_at": null, "by_hand": true}));
    }

    #[test]
    fn a_job_says_whom_it_is_for() {
        let shown = |caller| {
            serde_json::to_value(JobView::summary(&Job { caller, ..a_job() })).unwrap()["caller"]
                .clone()
        };
        assert_eq!(shown(Some("alice".parse().unwrap())), json!("alice"));
        assert_eq!(shown(None), Value::Null);
    }

    #[test]
    fn a_job_of_a_flow_says_which_and_how_many_it_waits_for() {
        for (waits, reason) in [
            (0, json!("retried on request")),
            (1, json!("waits for another job of its flow")),
            (12, json!("waits for 12 other jobs of its flow")),
        ] {
            let member = Some(Member { flow: flow_id(1), name: "send".into(), waits });
            let job = Job { member, reason: Some("retried on request".into()), ..a_job() };
            let value: Value = serde_json::to_value(JobView::summary(&job)).unwrap();
            assert_eq!(value["flow"], json!({"id": flow_id(1), "name": "send", "waits": waits}));
            assert_eq!(value["reason"], reason);
        }
    }

    #[test]
    fn a_detail_that_is_no_json_is_shown_as_text() {
        let failure = Failure { detail: Some("not json".into()), ..Failure::fatal("x", "y") };
        let job = Job { failure: Some(failure), ..a_job() };
        let value: Value = serde_json::to_value(JobView::summary(&job)).unwrap();
        assert_eq!(value["error"]["detail"], json!("not json"));
    }

    #[test]
    fn the_wait_counts_from_the_due_time_and_not_between_two_attempts() {
        let at = |run_at, started_at| {
            let job = Job {
                enqueued_at: Millis(0),
                run_at: Millis(run_at),
                started_at: Some(Millis(started_at)),
                ..a_job()
            };
            JobView::summary(&job).queue_wait_ms
        };
        assert_eq!(at(1_000, 1_250), Some(250));
        assert_eq!(at(9_000, 1_250), None);
        assert_eq!(JobView::summary(&a_job()).queue_wait_ms, None);
    }
}
