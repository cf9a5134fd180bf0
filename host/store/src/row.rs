//! Rows read back into the domain. What cannot be read is an error that names the column.

use std::str::FromStr;

use roughneck_jobs::{
    child::Relative,
    class::Class,
    clock::Millis,
    delivery::{Delivery, DeliveryState},
    event::JobEvent,
    flow::{Dependency, Flow, Member, Need, Tally},
    id::JobId,
    input_key::ConcurrencyKey,
    job::{Attempt, Job},
    lifecycle::Progress,
    pause::{Pause, Scope},
    priority::Priority,
    run::{self, Run},
    schedule::Fire,
};
use serde::de::DeserializeOwned;
use sqlx::{Row as _, sqlite::SqliteRow};

pub(crate) type Read<T> = Result<T, sqlx::Error>;

/// A job with what only the store knows.
pub(crate) struct Held {
    pub(crate) job: Job,
    /// The token of its present or last run; 0 before the first.
    pub(crate) token: i64,
    /// The token of the last run before the last retry on request. Its column has an older name.
    pub(crate) retry_token: i64,
    /// What only some jobs share while they run.
    pub(crate) concurrency: Option<ConcurrencyKey>,
    /// How many jobs are above it; a child has at least one, or had it.
    pub(crate) depth: u32,
    /// Children that it waits for.
    pub(crate) awaits: u32,
}

impl Held {
    /// Reads a row of `job`, with `input`.
    pub(crate) fn read(row: &SqliteRow) -> Read<Self> {
        let retry_token = row.try_get("replay_token")?;
        let key: Option<String> = row.try_get("concurrency_key")?;
        let limit: Option<u32> = row.try_get("concurrency_limit")?;
        let concurrency = key.zip(limit).map(|(key, limit)| ConcurrencyKey { key, limit });
        Ok(Self {
            job: job(row)?,
            token: row.try_get("token")?,
            retry_token,
            concurrency,
            depth: row.try_get("depth")?,
            awaits: row.try_get("awaits")?,
        })
    }

    /// The part that [`roughneck_jobs::lifecycle::advance`] looks at.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            state: self.job.state,
            attempt: self.job.attempt,
            losses: self.job.losses,
            losses_max: run::LOSSES_MAX,
        }
    }

    /// The present run.
    pub(crate) fn run(&self) -> Run {
        Run { job: self.job.id, token: self.token }
    }
}

/// Reads a row of `job`, with `input`.
pub(crate) fn job(row: &SqliteRow) -> Read<Job> {
    Ok(Job {
        id: text(row, "id")?,
        kind: row.try_get("kind")?,
        class: Class(row.try_get("class")?),
        priority: priority(row)?,
        rank: millis(row, "rank_ms")?,
        state: text(row, "state")?,
        reason: row.try_get("reason")?,
        enqueued_at: millis(row, "enqueued_at_ms")?,
        run_at: millis(row, "run_at_ms")?,
        deadline: millis_or_none(row, "deadline_ms")?,
        started_at: millis_or_none(row, "started_at_ms")?,
        finished_at: millis_or_none(row, "finished_at_ms")?,
        attempt: row.try_get("attempt")?,
        attempts_max: row.try_get("attempts_max")?,
        losses: row.try_get("losses")?,
        input: row.try_get("input")?,
        output: row.try_get("output")?,
        failure: json_or_none(row, "failure")?,
        usage: json(row, "usage")?,
        callback: text_or_none(row, "callback")?,
        trace_parent: row.try_get("trace_parent")?,
        caller: text_or_none(row, "caller")?,
        plugin: row.try_get("plugin")?,
        fire: fire(row)?,
        member: member(row)?,
    })
}

fn member(row: &SqliteRow) -> Read<Option<Member>> {
    let Some(flow) = text_or_none(row, "flow")? else { return Ok(None) };
    Ok(Some(Member { flow, name: row.try_get("name")?, waits: row.try_get("waits")? }))
}

/// Reads a row of `flow`. Its jobs are not counted yet.
pub(crate) fn flow(row: &SqliteRow) -> Read<Flow> {
    Ok(Flow {
        id: text(row, "id")?,
        name: row.try_get("name")?,
        digest: row.try_get("digest")?,
        enqueued_at: millis(row, "enqueued_at_ms")?,
        jobs: row.try_get("jobs")?,
        tallies: Vec::new(),
        last_end: None,
    })
}

/// Reads jobs of a flow that were counted together.
pub(crate) fn tally(row: &SqliteRow) -> Read<Tally> {
    Ok(Tally {
        state: text(row, "state")?,
        is_ignored: row.try_get("is_ignored")?,
        jobs: row.try_get("jobs")?,
    })
}

/// Reads a row of `need`.
pub(crate) fn edge(row: &SqliteRow) -> Read<(JobId, Need)> {
    let need = Need { job: text(row, "needs")?, on_failure: text(row, "on_failure")? };
    Ok((text(row, "job")?, need))
}

/// Reads a needed job.
pub(crate) fn dependency(row: &SqliteRow) -> Read<Dependency> {
    let output_bytes: i64 = row.try_get("output_bytes")?;
    Ok(Dependency {
        name: row.try_get("name")?,
        job: text(row, "id")?,
        state: text(row, "state")?,
        output: row.try_get("output")?,
        output_bytes: usize::try_from(output_bytes).unwrap_or(0),
        failure: json_or_none(row, "failure")?,
    })
}

/// Reads a job as its relatives see it.
pub(crate) fn relative(row: &SqliteRow) -> Read<Relative> {
    Ok(Relative {
        id: text(row, "id")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        state: text(row, "state")?,
    })
}

fn fire(row: &SqliteRow) -> Read<Option<Fire>> {
    let Some(schedule) = row.try_get("schedule")? else { return Ok(None) };
    Ok(Some(Fire { schedule, at: millis_or_none(row, "fire_ms")? }))
}

/// Reads a row of `attempt`.
pub(crate) fn attempt(row: &SqliteRow) -> Read<Attempt> {
    Ok(Attempt {
        run: row.try_get("run")?,
        attempt: row.try_get("attempt")?,
        started_at: millis(row, "started_at_ms")?,
        finished_at: millis_or_none(row, "finished_at_ms")?,
        outcome: row.try_get("outcome")?,
        failure: json_or_none(row, "failure")?,
        usage: json(row, "usage")?,
        log: json(row, "log")?,
    })
}

/// Reads a row of `job_event`.
pub(crate) fn event(row: &SqliteRow) -> Read<JobEvent> {
    Ok(JobEvent {
        seq: row.try_get("seq")?,
        at: millis(row, "at_ms")?,
        state: text(row, "state")?,
        attempt: row.try_get("attempt")?,
        reason: row.try_get("reason")?,
    })
}

/// Reads a row of `pause`.
pub(crate) fn pause(row: &SqliteRow) -> Read<Pause> {
    let (scope, name): (String, String) = (row.try_get("scope")?, row.try_get("name")?);
    Ok(Pause {
        scope: if scope == "class" { Scope::Class(name) } else { Scope::Kind(name) },
        since: millis(row, "since_ms")?,
        until: millis_or_none(row, "until_ms")?,
        reason: row.try_get("reason")?,
    })
}

/// Reads a row of `delivery`.
pub(crate) fn delivery(row: &SqliteRow) -> Read<Delivery> {
    let state: String = row.try_get("state")?;
    let state = match state.as_str() {
        // Its turn has not come: that matters to nobody outside of the store.
        "waiting" | "pending" => DeliveryState::Pending,
        "delivered" => DeliveryState::Delivered,
        "dead" => DeliveryState::Dead,
        other => {
            let error = format!("`{other}` is not a state of a delivery");
            return Err(unreadable("state", error));
        }
    };
    Ok(Delivery {
        id: text(row, "id")?,
        job: text(row, "job")?,
        target: text(row, "target")?,
        event: row.try_get("event")?,
        body: row.try_get("body")?,
        state,
        attempts: row.try_get("attempts")?,
        next_at: millis(row, "next_at_ms")?,
        finished_at: millis_or_none(row, "finished_at_ms")?,
        last_error: row.try_get("last_error")?,
    })
}

/// Reads a text column that the domain parses.
pub(crate) fn text<T>(row: &SqliteRow, column: &'static str) -> Read<T>
where
    T: FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| unreadable(column, error))
}

/// The same of a column that may have no value.
pub(crate) fn text_or_none<T>(row: &SqliteRow, column: &'static str) -> Read<Option<T>>
where
    T: FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse()).transpose().map_err(|error| unreadable(column, error))
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Read<T> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn json_or_none<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Read<Option<T>> {
    let text: Option<String> = row.try_get(column)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|error| unreadable(column, error))
}

fn priority(row: &SqliteRow) -> Read<Priority> {
    level(row.try_get("priority")?)
}

pub(crate) fn priority_or_none(row: &SqliteRow) -> Read<Option<Priority>> {
    let priority: Option<u32> = row.try_get("priority")?;
    priority.map(level).transpose()
}

fn level(level: u32) -> Read<Priority> {
    Priority::new(level.into()).map_err(|error| unreadable("priority", error))
}

pub(crate) fn millis(row: &SqliteRow, column: &'static str) -> Read<Millis> {
    row.try_get(column).map(Millis)
}

pub(crate) fn millis_or_none(row: &SqliteRow, column: &'static str) -> Read<Option<Millis>> {
    let at: Option<i64> = row.try_get(column)?;
    Ok(at.map(Millis))
}

fn unreadable(
    column: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: source.into() }
}
