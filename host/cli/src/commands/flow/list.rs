//! `roughneck flow list`: a page of flows as a table.

use anyhow::Result;
use roughneck_jobs::clock::{Clock as _, Millis};
use serde::Deserialize;

use super::Host;
use crate::{
    client::{Answer, Flow},
    commands::paging::Paging,
    span::span,
    system::System,
    table::Table,
    terminal::{self, Size, stdout_size},
    watch::watch,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    paging: Paging,
    /// Redraw the table every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

#[derive(Deserialize)]
struct Page {
    flows: Vec<Flow>,
    next: Option<String>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let query = arguments.paging.query();
    let read = async || host.client.list("/flows", &query).await;
    if arguments.watch {
        let draw = |answer: &Answer, size: Size| {
            let page: Page = answer.parse()?;
            Ok(table(&page.flows, System.now()).render(Some(size.columns)))
        };
        return watch(read, draw).await;
    }
    let answer = read().await?;
    if host.json {
        return host.print_json(&answer);
    }
    let page: Page = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&page.flows, System.now()).render(columns))?;
    let last = page.flows.last().map(|flow| &*flow.id);
    arguments.paging.tell_more(last, page.next.as_deref());
    Ok(())
}

fn table(flows: &[Flow], now: Millis) -> Table<6> {
    let mut table = Table::new(["ID", "STATE", "AGE", "TOOK", "JOBS", "NAME"]);
    let text = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), span);
    for flow in flows {
        let took_ms = flow.finished_at.as_ref().and_then(|at| at.since_ms(&flow.enqueued_at));
        table.row([
            flow.id.clone(),
            flow.state.clone(),
            text(flow.enqueued_at.millis().map(|from| now.since_ms(from))),
            text(took_ms),
            format!("{}/{}", flow.ended, flow.submitted),
            flow.name.clone().unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{NOW, told_flow};

    #[test]
    fn a_flow_is_a_row_with_what_is_over_of_it() {
        let runs = told_flow("running", &[("a", "done", &[]), ("b", "working", &["a"])]);
        let over = Flow { name: None, ..told_flow("done", &[("a", "done", &[])]) };
        assert_eq!(
            table(&[runs, over], NOW).render(None),
            "ID                          STATE    AGE    TOOK  JOBS  NAME\n\
             01K9Z4T8N6Q0V5W3X2Y1R7S9AB  running  10.0s  -     1/2   letter\n\
             01K9Z4T8N6Q0V5W3X2Y1R7S9AB  done     10.0s  3.5s  1/1\n"
        );
    }
}
