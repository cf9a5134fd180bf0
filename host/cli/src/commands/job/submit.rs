//! `roughneck job submit`: sends a job, and waits for it if asked to.

use std::time::Duration;

use anyhow::Result;
use roughneck_jobs::{caller::Caller, id::JobId, manifest, priority::Priority};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Host, duration, wait};
use crate::{
    commands::input::Input,
    exit::{self, Exit},
    terminal,
};

#[derive(Debug, clap::Args)]
#[command(after_help = exit::CODES)]
pub(super) struct Arguments {
    /// What to run; `roughneck plugin list` shows the kinds
    kind: String,
    #[command(flatten)]
    input: Input,
    /// urgent, high, normal, low or bulk, or a number from 0 to 100 [default: the kind's]
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<Priority>,
    /// Not before this instant: RFC 3339, or Unix milliseconds
    #[arg(long, value_name = "TIME", value_parser = instant)]
    run_at: Option<Instant>,
    /// If it is not over by then, it fails: a duration such as 5m, RFC 3339, or Unix milliseconds
    #[arg(long, value_name = "DURATION|TIME", value_parser = deadline)]
    deadline: Option<Instant>,
    /// Who is told about the end: a URL, or the name of a configured target
    #[arg(long, value_name = "URL|NAME")]
    callback: Option<String>,
    /// On whose token budget it goes: a name of your own for a tenant or a user
    #[arg(long, value_name = "NAME")]
    caller: Option<Caller>,
    /// An id of your own; sent again, it is the same job
    #[arg(long, value_name = "ULID")]
    id: Option<JobId>,
    /// Show the job until it ends, and print its output
    #[arg(long)]
    wait: bool,
    /// How long to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    timeout: Option<Duration>,
}

/// The body of `POST /jobs`. What is left out is the host's to decide.
#[derive(Serialize)]
struct Submission {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<JobId>,
}

/// An instant in either form that the host reads; a deadline may be a duration as well.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Instant {
    Millis(i64),
    Text(String),
}

#[derive(Deserialize)]
struct Accepted {
    id: JobId,
}

pub(super) async fn run(host: &Host, arguments: Arguments) -> Result<Exit> {
    let submission = Submission {
        kind: arguments.kind,
        input: arguments.input.read()?,
        priority: arguments.priority,
        run_at: arguments.run_at,
        deadline: arguments.deadline,
        callback: arguments.callback,
        caller: arguments.caller,
        id: arguments.id,
    };
    let answer = host.client.post("/jobs", &submission).await?;
    let Accepted { id } = answer.parse()?;
    if arguments.wait {
        terminal::tell(&format!("job      {id}"));
        return wait::until_end(host, id, arguments.timeout).await;
    }
    if host.json {
        host.print_json(&answer)?;
    } else {
        terminal::print(&format!("{id}\n"))?;
    }
    Ok(Exit::Done)
}

fn instant(text: &str) -> Result<Instant, &'static str> {
    if let Ok(ms) = text.parse() {
        return Ok(Instant::Millis(ms));
    }
    text.parse::<jiff::Timestamp>()
        .map(|_| Instant::Text(text.to_owned()))
        .map_err(|_| "write RFC 3339, such as 2027-01-31T06:00:00Z, or Unix milliseconds")
}

fn deadline(text: &str) -> Result<Instant, &'static str> {
    match manifest::text::duration_ms(text) {
        Ok(_) => Ok(Instant::Text(text.to_owned())),
        Err(_) => instant(text).map_err(|_| {
            "write a duration such as 5m, RFC 3339, such as 2027-01-31T06:00:00Z, or Unix milliseconds"
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_out_as_a_number_or_a_text() {
        assert_eq!(instant("1795333333000"), Ok(Instant::Millis(1_795_333_333_000)));
        for text in ["2027-01-01T00:00:00Z", "5m", "2d"] {
            assert_eq!(deadline(text), Ok(Instant::Text(text.to_owned())));
        }
        assert_eq!(instant("2027-01-01T00:00:00Z"), deadline("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_instant_is_not_sent() {
        for text in ["tomorrow", "2027-01-01", ""] {
            assert!(instant(text).unwrap_err().contains("RFC 3339"), "{text}");
            assert!(deadline(text).unwrap_err().contains("5m"), "{text}");
        }
        assert!(instant("5m").is_err());
    }

    #[test]
    fn what_was_not_said_is_left_to_the_host() {
        let submission = Submission {
            kind: "echo".into(),
            input: None,
            priority: None,
            run_at: None,
            deadline: None,
            callback: None,
            caller: None,
            id: None,
        };
        assert_eq!(serde_json::to_string(&submission).unwrap(), r#"{"kind":"echo"}"#);
    }
}
