//! `roughneck job wait`, and the end of `roughneck job submit --wait`: shows a job until it ends.

use std::time::Duration;

use anyhow::{Context, Result};
use roughneck_jobs::id::JobId;

use super::{Host, duration};
use crate::{
    client::Job,
    exit::{self, Exit},
    live::Live,
    pretty::pretty,
    span::span,
    terminal::{self, clean, stderr_size, stdout_size},
};

#[derive(Debug, clap::Args)]
#[command(after_help = exit::CODES)]
pub(super) struct Arguments {
    /// The job's id
    id: JobId,
    /// How long to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<Exit> {
    until_end(host, arguments.id, arguments.timeout).await
}

/// Shows the job on standard error until it ends, and prints its output on standard output. A host
/// that restarts meanwhile is waited for.
pub(in crate::commands) async fn until_end(
    host: &Host,
    id: JobId,
    limit: Option<Duration>,
) -> Result<Exit> {
    match limit {
        None => follow(host, id).await?,
        Some(limit) => match tokio::time::timeout(limit, follow(host, id)).await {
            Ok(followed) => followed?,
            Err(_) => return late(host, id, limit).await,
        },
    }
    let answer = host.client.job(id).await?;
    host.print_json(&answer)?;
    let job: Job = answer.parse()?;
    let exit = Exit::of_job(&job.state)
        .with_context(|| format!("the events of {id} ended, but it is {}", job.state))?;
    match exit {
        Exit::Done => print_output(host, &job)?,
        Exit::JobFailed => {
            let why = job.error.as_ref().map_or_else(String::new, |error| error.line());
            terminal::tell(&format!(
                "the job has failed: {}\n`roughneck job show {id}` tells the whole story",
                clean(&why)
            ));
        }
        Exit::JobCancelled => terminal::tell("the job was cancelled"),
        // No state of a job.
        Exit::Error | Exit::TimedOut => {}
    }
    Ok(exit)
}

async fn follow(host: &Host, id: JobId) -> Result<()> {
    let mut live = Live::new(std::io::stderr(), stderr_size(), 0);
    let mut events = host.client.events(id).telling(id);
    while let Some(event) = events.next().await? {
        if events.has_told() {
            live.begin_below();
        }
        live.show(&event);
    }
    Ok(())
}

async fn late(host: &Host, id: JobId, limit: Duration) -> Result<Exit> {
    let answer = host.client.job(id).await?;
    host.print_json(&answer)?;
    let job: Job = answer.parse()?;
    let waited = span(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    terminal::tell(&format!(
        "the job is {} after {waited}, and goes on; `roughneck job wait {id}` waits again",
        job.state
    ));
    Ok(Exit::TimedOut)
}

/// Prints the output of a job that is done.
pub(in crate::commands) fn print_output(host: &Host, job: &Job) -> Result<()> {
    let output = job.output.as_ref().map_or("null", |output| output.get());
    if host.json {
        // It is in the document already.
        Ok(())
    } else if stdout_size().is_some() {
        terminal::print(&format!("{}\n", pretty(output)))
    } else {
        terminal::print(&format!("{output}\n"))
    }
}
