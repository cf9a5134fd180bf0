//! `roughneck job list`: a page of jobs as a table.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use roughneck_jobs::{
    clock::{Clock as _, Millis},
    state::State,
};
use serde::Deserialize;

use super::Host;
use crate::{
    client::{Answer, Job},
    commands::paging::Paging,
    span::span,
    system::System,
    table::Table,
    terminal::{self, Size, stdout_size},
    watch::watch,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only jobs in this state
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    /// Only jobs of this kind
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    paging: Paging,
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
        let draw = |answer: &Answer, size: Size| {
            let page: Page = answer.parse()?;
            Ok(table(&page.jobs, System.now()).render(Some(size.columns)))
        };
        return watch(async || read(host, arguments).await, draw).await;
    }
    let answer = read(host, arguments).await?;
    if host.json {
        return host.print_json(&answer);
    }
    let page: Page = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&page.jobs, System.now()).render(columns))?;
    let last = page.jobs.last().map(|job| &*job.id);
    arguments.paging.tell_more(last, page.next.as_deref());
    Ok(())
}

async fn read(host: &Host, arguments: &Arguments) -> Result<Answer> {
    let [limit, before] = arguments.paging.query();
    let state = ("state", arguments.state.clone());
    let query = [state, ("kind", arguments.kind.clone()), limit, before];
    host.client.list("/jobs", &query).await
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
}
