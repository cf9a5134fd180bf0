//! `roughneck dead`: the dead letters of a running host, jobs that have failed.

mod list;
mod purge;
mod retry;

use anyhow::Result;
use clap::Subcommand;
use serde::Deserialize;

use super::host::Host;
use crate::client::{Answer, Connection};

/// Dead letters of one request; the host takes no more at once.
const BATCH: u64 = 500;

/// Arguments of `roughneck dead`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, the newest first
    List(list::Arguments),
    /// Run dead letters again, the oldest first, at their old places and with all their attempts
    Retry(Which),
    /// Delete dead letters, the oldest first; those whose webhooks are still being sent are kept
    Purge(purge::Arguments),
}

/// Which dead letters are meant: all of them by default.
#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// Only of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Only those whose error has this code, such as `timeout`
    #[arg(long)]
    code: Option<String>,
    /// How many at most [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Runs `roughneck dead`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let host = Host::of(&arguments.connection)?;
    let ended = match &arguments.action {
        Action::List(arguments) => list::run(&host, arguments).await,
        Action::Retry(which) => retry::run(&host, which).await,
        Action::Purge(arguments) => purge::run(&host, arguments).await,
    };
    host.told(ended)
}

/// What a request did.
#[derive(Deserialize)]
struct Cleared {
    #[serde(alias = "retried", alias = "deleted")]
    jobs: u64,
    left: u64,
}

/// Sends requests of at most [`BATCH`] until nothing is left that can be done, and prints the sum.
async fn in_batches(
    host: &Host,
    which: &Which,
    done: &str,
    send: impl AsyncFn(u64) -> Result<Answer>,
) -> Result<()> {
    let (mut sum, mut left) = (0, u64::MAX);
    let limit = which.limit.unwrap_or(u64::MAX);
    while sum < limit && left > 0 {
        let answer = send(BATCH.min(limit - sum)).await?;
        host.print_json(&answer)?;
        let cleared: Cleared = answer.parse()?;
        sum += cleared.jobs;
        left = cleared.left;
        if cleared.jobs == 0 {
            break;
        }
    }
    if host.json {
        return Ok(());
    }
    crate::terminal::print(&format!("{}\n", sentence(done, sum, left)))
}

fn sentence(done: &str, sum: u64, left: u64) -> String {
    let letters = if sum == 1 { "dead letter" } else { "dead letters" };
    match left {
        0 | u64::MAX => format!("{done} {sum} {letters}"),
        left => format!("{done} {sum} {letters}; {left} of the same description are left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_told_and_what_is_left() {
        assert_eq!(sentence("retried", 1, 0), "retried 1 dead letter");
        assert_eq!(
            sentence("deleted", 700, 3),
            "deleted 700 dead letters; 3 of the same description are left"
        );
    }

    #[test]
    fn both_answers_of_the_host_are_read() {
        for text in [r#"{"retried":2,"left":1}"#, r#"{"deleted":2,"left":1}"#] {
            let cleared: Cleared = serde_json::from_str(text).unwrap();
            assert_eq!((cleared.jobs, cleared.left), (2, 1));
        }
    }
}
