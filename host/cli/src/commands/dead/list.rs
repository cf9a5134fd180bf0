//! `roughneck dead list`: a page of dead letters as a table.

use anyhow::Result;
use roughneck_jobs::clock::{Clock as _, Millis};
use serde::Deserialize;

use super::{Host, Which};
use crate::{
    client::Job,
    commands::paging::Paging,
    span::span,
    system::System,
    table::Table,
    terminal::{self, stdout_size},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Job>,
    next: Option<String>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let Which { kind, code } = arguments.which.clone();
    let [limit, before] = arguments.paging.query();
    let query = [("kind", kind), ("code", code), limit, before];
    let answer = host.client.list("/dead", &query).await?;
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

fn table(jobs: &[Job], now: Millis) -> Table<5> {
    let mut table = Table::new(["ID", "KIND", "ATTEMPT", "FAILED", "ERROR"]);
    for job in jobs {
        let failed_at = job.finished_at.as_ref().and_then(|at| at.millis());
        table.row([
            job.id.clone(),
            job.kind.clone(),
            format!("{}/{}", job.attempt, job.attempts_max),
            failed_at
                .map_or_else(|| "-".to_owned(), |at| format!("{} ago", span(now.since_ms(at)))),
            job.error.as_ref().map(|failure| failure.line()).unwrap_or_default(),
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
    fn a_dead_letter_is_a_row_with_its_error() {
        let job = told(&json!({
            "state": "failed", "attempt": 3,
            "finished_at": "2026-01-01T00:00:00.000Z",
            "error": {"disposition": "fail", "code": "timeout", "message": "too slow"},
        }));
        let text = table(&[job], NOW).render(None);
        assert!(text.starts_with("ID "), "{text}");
        assert!(text.contains("3/3      10.0s ago  timeout: too slow"), "{text}");
    }
}
