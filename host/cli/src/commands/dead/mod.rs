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
    Retry(Share),
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
}

/// How many of them are dealt with.
#[derive(Clone, Debug, clap::Args)]
struct Share {
    #[command(flatten)]
    which: Which,
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
        Action::Retry(share) => retry::run(&host, share).await,
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
    /// When, by the host's clock.
    at: Option<String>,
}

/// Sends requests until nothing is left that can be done, and prints the sum.
async fn in_batches(
    host: &Host,
    limit: Option<u64>,
    done: &str,
    send: impl AsyncFn(u64, Option<String>) -> Result<Answer>,
) -> Result<()> {
    let cleared = async |limit, begun| {
        let answer = send(limit, begun).await?;
        host.print_json(&answer)?;
        answer.parse()
    };
    let (sum, left) = clear(limit.unwrap_or(u64::MAX), cleared).await?;
    if host.json {
        return Ok(());
    }
    crate::terminal::print(&format!("{}\n", sentence(done, sum, left)))
}

/// Clears up to `limit` dead letters, at most [`BATCH`] with a request. Returns how many, and how many are left. Every
/// request but the first says when that was answered: what has died since then is not meant.
async fn clear(
    limit: u64,
    send: impl AsyncFn(u64, Option<String>) -> Result<Cleared>,
) -> Result<(u64, u64)> {
    let (mut sum, mut left, mut begun) = (0, u64::MAX, None);
    while sum < limit && left > 0 {
        let cleared = send(BATCH.min(limit - sum), begun.clone()).await?;
        sum += cleared.jobs;
        left = cleared.left;
        begun = begun.or(cleared.at);
        if cleared.jobs == 0 {
            break;
        }
    }
    Ok((sum, left))
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
    use std::cell::{Cell, RefCell};

    use super::*;

    #[tokio::test]
    async fn a_dead_letter_that_fails_again_at_once_is_retried_once() {
        let (died_at, now) = (RefCell::new(vec![0_u64; 1_200]), Cell::new(10));
        let send = async |limit: u64, begun: Option<String>| {
            let begun = begun.map_or(u64::MAX, |begun| begun.parse().unwrap());
            now.set(now.get() + 1);
            let mut died_at = died_at.borrow_mut();
            let mut meant: Vec<_> = died_at.iter_mut().filter(|at| **at < begun).collect();
            let jobs = limit.min(meant.len() as u64);
            meant.iter_mut().take(jobs as usize).for_each(|at| **at = now.get());
            let left = died_at.iter().filter(|at| **at < begun).count() as u64;
            Ok(Cleared { jobs, left, at: Some(now.get().to_string()) })
        };
        assert_eq!(clear(700, &send).await.unwrap(), (700, 500));
        assert_eq!(died_at.borrow().iter().filter(|at| **at == 0).count(), 500);
        assert_eq!(clear(u64::MAX, &send).await.unwrap(), (1_200, 0));
    }

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
        let retried = r#"{"retried":2,"left":1,"at":"2026-01-01T00:00:00.000Z"}"#;
        for text in [retried, r#"{"deleted":2,"left":1}"#] {
            let cleared: Cleared = serde_json::from_str(text).unwrap();
            assert_eq!((cleared.jobs, cleared.left), (2, 1));
        }
    }
}
