//! The job as it is submitted and as it is kept.

use crate::{
    caller::Caller,
    class::Class,
    clock::Millis,
    delivery::Target,
    failure::Failure,
    flow::{Member, NewMember},
    id::JobId,
    input_key::{ConcurrencyKey, UniqueKey},
    priority::Priority,
    schedule::Fire,
    state::State,
    usage::Usage,
};

/// A job on its way into the store. [`crate::intake`] makes it from a submission and the manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Made by the submitter or the host.
    pub id: JobId,
    /// The submitter's name for the submission: while a job of this key is kept, there is no second.
    pub idempotency_key: Option<String>,
    /// The kind, under its present name.
    pub kind: String,
    /// The class its slots come from.
    pub class: Class,
    /// Kept for display; the order is in `rank`.
    pub priority: Priority,
    /// Lower runs first. Never rewritten.
    pub rank: Millis,
    /// When it was accepted.
    pub enqueued_at: Millis,
    /// Not before this instant.
    pub run_at: Millis,
    /// If it is not over at this instant, it fails.
    pub deadline: Option<Millis>,
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// The model it will ask for, by its name or an alias, if that is known.
    pub model: Option<String>,
    /// JSON, as the submitter wrote it.
    pub input: String,
    /// Who is told about the end.
    pub callback: Option<Target>,
    /// W3C `traceparent` of the submission.
    pub trace_parent: Option<String>,
    /// On whose token budget it goes, if its submitter said so.
    pub caller: Option<Caller>,
    /// The schedule's fire this job answers, if any.
    pub fire: Option<Fire>,
    /// What no second job has while this one holds it.
    pub unique: Option<UniqueKey>,
    /// What only some jobs share while they run.
    pub concurrency: Option<ConcurrencyKey>,
    /// Its part in a flow, if it has one.
    pub member: Option<NewMember>,
}

/// A job as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The kind.
    pub kind: String,
    /// The class.
    pub class: Class,
    /// The priority it was submitted with.
    pub priority: Priority,
    /// Lower runs first. Never rewritten.
    pub rank: Millis,
    /// Where it is.
    pub state: State,
    /// Why it waits or why it ended, in one sentence.
    pub reason: Option<String>,
    /// When it was accepted.
    pub enqueued_at: Millis,
    /// Not before this instant; moved by retries.
    pub run_at: Millis,
    /// If it is not over at this instant, it fails. A retry on request clears it.
    pub deadline: Option<Millis>,
    /// When the present or last run began.
    pub started_at: Option<Millis>,
    /// When it reached a terminal state.
    pub finished_at: Option<Millis>,
    /// Attempts begun and not given back.
    pub attempt: u32,
    /// Attempts in all.
    pub attempts_max: u32,
    /// Runs lost with their host.
    pub losses: u32,
    /// JSON of the submission.
    pub input: String,
    /// JSON of the result, once done.
    pub output: Option<String>,
    /// The last failure.
    pub failure: Option<Failure>,
    /// What its model calls cost, over all attempts.
    pub usage: Usage,
    /// Who is told about the end.
    pub callback: Option<Target>,
    /// W3C `traceparent` of the submission.
    pub trace_parent: Option<String>,
    /// On whose token budget it goes, if its submitter said so.
    pub caller: Option<Caller>,
    /// Digest of the plugin that ran it last.
    pub plugin: Option<String>,
    /// The schedule's fire it answers, if any.
    pub fire: Option<Fire>,
    /// Its part in a flow, if it has one.
    pub member: Option<Member>,
}

impl Job {
    /// A new job in this state, with this input. It belongs to no flow yet.
    #[must_use]
    pub fn accepted(new: &NewJob, state: State, input: String) -> Self {
        Self {
            id: new.id,
            kind: new.kind.clone(),
            class: new.class.clone(),
            priority: new.priority,
            rank: new.rank,
            state,
            reason: None,
            enqueued_at: new.enqueued_at,
            run_at: new.run_at,
            deadline: new.deadline,
            started_at: None,
            finished_at: None,
            attempt: 0,
            attempts_max: new.attempts_max,
            losses: 0,
            input,
            output: None,
            failure: None,
            usage: Usage::default(),
            callback: new.callback.clone(),
            trace_parent: new.trace_parent.clone(),
            caller: new.caller.clone(),
            plugin: None,
            fire: new.fire.clone(),
            member: None,
        }
    }

    /// Whether it has failed and can be run again. Where a client waited on an open connection, it has been told,
    /// and nobody would hear of another run.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        self.state == State::Failed && !self.class.is_attended()
    }

    /// Whether its deadline has passed at this instant.
    #[must_use]
    pub fn is_overdue(&self, at: Millis) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= at)
    }
}

/// One run of a job, for people who ask what happened.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Attempt {
    /// Number of the run: the fencing token.
    pub run: i64,
    /// Number of the attempt; a lost run's number is used again.
    pub attempt: u32,
    /// When it was claimed.
    pub started_at: Millis,
    /// When it ended, or none while it runs.
    pub finished_at: Option<Millis>,
    /// How it ended: `done`, `failed`, `postponed`, `lost`, `released` or `cancelled`. A run that waits for
    /// its children was released.
    pub outcome: Option<String>,
    /// Why, if it did not succeed.
    pub failure: Option<Failure>,
    /// What its model calls cost.
    pub usage: Usage,
    /// The job's own log, one line each, bounded.
    pub log: Vec<LogLine>,
}

impl Attempt {
    /// A run that begins now.
    #[must_use]
    pub fn begun(run: i64, attempt: u32, started_at: Millis) -> Self {
        Self {
            run,
            attempt,
            started_at,
            finished_at: None,
            outcome: None,
            failure: None,
            usage: Usage::default(),
            log: Vec::new(),
        }
    }
}

/// How much a line of a job's log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// For the curious.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

/// A line of a job's own log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Millis,
    /// How much it matters.
    pub level: LogLevel,
    /// The text, cut at the host's limit.
    pub message: String,
}

/// Which jobs a reader wants, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this state.
    pub state: Option<State>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only these dead letters, whatever `state` and `kind` say.
    pub dead: Option<DeadLetters>,
    /// Only older than this job: the cursor of the next page.
    pub before: Option<JobId>,
    /// At most so many; the store clamps it to 1..=500.
    pub limit: u32,
}

/// Which dead letters are meant: all of them by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only those whose failure has this code.
    pub code: Option<String>,
    /// Only those that failed before this instant.
    pub failed_before: Option<Millis>,
}

impl DeadLetters {
    /// Whether a job is one of them.
    #[must_use]
    pub fn include(&self, job: &Job) -> bool {
        let code = job.failure.as_ref().map(|failure| &failure.code);
        job.is_dead_letter()
            && self.kind.as_ref().is_none_or(|kind| *kind == job.kind)
            && self.code.as_ref().is_none_or(|wanted| Some(wanted) == code)
            && self.failed_before.is_none_or(|before| job.finished_at.is_some_and(|at| at < before))
    }
}
