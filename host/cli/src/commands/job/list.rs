//! `roughneck job list`: a page of jobs as a table.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::builder::PossibleValuesParser;
use roughneck_jobs::{
    clock::{Clock as _, Millis},
    state::State,
};
use serde::Deserialize;

use super::Host;
use crate::{
    client::{Answer, Job},
    span::span,
    system::System,
    table::Table,
    terminal::{self, Size, stdout_size},
};

const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Clears the screen, once.
const CLEAR: &str = "\x1b[2J";
/// Goes to the corner of the screen.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line before it ends.
const LINE_END: &str = "\x1b[K\n";
/// Clears what is left of an older, longer table.
const REST: &str = "\x1b[J";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only jobs in this state
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    /// Only jobs of this kind
    #[arg(long)]
    kind: Option<String>,
    /// How many at most [default: the host's, 50]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Redraw the table every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Job>,
    next: Option<String>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    if arguments.watch {
        return watch(host, arguments).await;
    }
    let answer = read(host, arguments).await?;
    if host.json {
        return host.print_json(&answer);
    }
    let page: Page = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&page.jobs, System.now()).render(columns))?;
    if page.next.is_some() {
        terminal::tell("there are more; narrow with --state or --kind, or raise --limit");
    }
    Ok(())
}

async fn read(host: &Host, arguments: &Arguments) -> Result<Answer> {
    let query = [
        ("state", arguments.state.clone()),
        ("kind", arguments.kind.clone()),
        ("limit", arguments.limit.map(|limit| limit.to_string())),
    ];
    host.client.list("/jobs", &query).await
}

/// Redraws until the process is stopped. A host that restarts meanwhile is told in the table's place.
async fn watch(host: &Host, arguments: &Arguments) -> Result<()> {
    ensure!(
        stdout_size().is_some(),
        "--watch redraws a terminal, and the output is none; leave --watch out"
    );
    let mut answer = Ok(read(host, arguments).await?);
    terminal::print(CLEAR)?;
    // Asked for every time, because a window changes its size.
    while let Some(size) = stdout_size() {
        let text = match answer.and_then(|answer| answer.parse::<Page>()) {
            Ok(page) => table(&page.jobs, System.now()).render(Some(size.columns)),
            Err(error) => format!("{}\n", terminal::clean(&format!("{error:#}"))),
        };
        terminal::print(&screen(&text, size))?;
        tokio::time::sleep(WATCH_INTERVAL).await;
        answer = read(host, arguments).await;
    }
    Ok(())
}

/// What to send to the terminal to show the text, of which only what fits.
fn screen(text: &str, size: Size) -> String {
    let lines = text.lines().take(size.rows.saturating_sub(1));
    let lines: String = lines.map(|line| format!("{line}{LINE_END}")).collect();
    format!("{HOME}{lines}{REST}")
}

fn table(jobs: &[Job], now: Millis) -> Table<9> {
    let mut table =
        Table::new(["ID", "KIND", "STATE", "PRIORITY", "ATTEMPT", "AGE", "WAIT", "RUN", "REASON"]);
    let text = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), span);
    for job in jobs {
        let failure = job.error.as_ref().map(|failure| failure.line());
        table.row([
            job.id.clone(),
            job.kind.clone(),
            job.state.clone(),
            job.priority.to_string(),
            format!("{}/{}", job.attempt, job.attempts_max),
            text(job.enqueued_at.millis().map(|from| now.since_ms(from))),
            text(job.wait_ms(now)),
            text(job.run_ms(now)),
            job.reason.clone().or(failure).unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::{NOW, told};

    #[test]
    fn a_job_is_a_row_and_its_reason_is_cut_to_the_terminal() {
        let failed = told(&json!({
            "state": "failed", "attempt": 3,
            "error": {"disposition": "fatal", "code": "trap", "message": "the plugin panicked"},
        }));
        let waits = told(&json!({
            "state": "queued", "attempt": 0, "started_at": null, "finished_at": null,
            "queue_wait_ms": null, "reason": "waits for Ollama: it is down",
        }));
        assert_eq!(
            table(&[failed, waits], NOW).render(Some(100)),
            "ID                          KIND  STATE   PRIORITY  ATTEMPT  AGE    WAIT   RUN   REASON\n\
             01K9Z4T8N6Q0V5W3X2Y1R7S9AB  echo  failed  normal    3/3      10.0s  1.0s   2.5s  trap: the plugin p…\n\
             01K9Z4T8N6Q0V5W3X2Y1R7S9AB  echo  queued  normal    0/3      10.0s  10.0s  -     waits for Ollama: …\n"
        );
    }

    #[test]
    fn a_watched_table_never_scrolls_the_screen() {
        let screen = screen("a\nb\nc\nd\n", Size { columns: 80, rows: 3 });
        assert_eq!(screen, "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
