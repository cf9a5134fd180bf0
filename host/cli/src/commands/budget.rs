//! `roughneck budget`: who may use how many tokens today, and how much of it is left.

use anyhow::Result;
use serde::Deserialize;

use super::host::Host;
use crate::{
    client::Connection,
    table::Table,
    terminal::{self, stdout_size},
};

/// Arguments of `roughneck budget`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct All {
    resets_at: Option<String>,
    job_limit: Option<u64>,
    budgets: Vec<Budget>,
}

#[derive(Deserialize)]
struct Budget {
    scope: String,
    subject: String,
    limit: u64,
    spent: u64,
    reserved: u64,
    remaining: u64,
}

/// Runs `roughneck budget`.
///
/// # Errors
/// That no host answers, in one sentence.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let host = Host::of(&arguments.connection)?;
    host.told(show(&host).await)
}

async fn show(host: &Host) -> Result<()> {
    let answer = host.client.get("/budgets").await?;
    if host.json {
        return host.print_json(&answer);
    }
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&page(&answer.parse()?, columns))
}

fn page(all: &All, columns: Option<usize>) -> String {
    let All { resets_at, job_limit, budgets } = all;
    let job = job_limit.map(|limit| format!("a job may use {limit} tokens\n")).unwrap_or_default();
    if budgets.is_empty() {
        let none =
            "no kind and no caller has a token budget; set one under [budgets] in roughneck.toml\n";
        return format!("{job}{none}");
    }
    let mut table = Table::new(["BUDGET", "OF", "A DAY", "SPENT", "RESERVED", "LEFT"]);
    for budget in budgets {
        table.row([
            budget.scope.clone(),
            budget.subject.clone(),
            budget.limit.to_string(),
            budget.spent.to_string(),
            budget.reserved.to_string(),
            budget.remaining.to_string(),
        ]);
    }
    let renewed = resets_at.as_ref().map(|at| format!("renewed at {at}\n")).unwrap_or_default();
    format!("{}{job}{renewed}", table.render(columns))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_budget_is_a_row_with_what_is_left_of_it() {
        let all: All = serde_json::from_value(json!({
            "day": "2026-11-29", "resets_at": "2026-11-30T00:00:00.000Z", "job_limit": 200_000,
            "budgets": [
                {"scope": "kind", "subject": "summarize", "limit": 2_000_000, "spent": 15_000, "reserved": 0, "remaining": 1_985_000},
                {"scope": "caller", "subject": "alice", "limit": 1000, "spent": 990, "reserved": 10, "remaining": 0},
            ],
        }))
        .unwrap();
        assert_eq!(
            page(&all, None),
            "BUDGET  OF         A DAY    SPENT  RESERVED  LEFT\n\
             kind    summarize  2000000  15000  0         1985000\n\
             caller  alice      1000     990    10        0\n\
             a job may use 200000 tokens\n\
             renewed at 2026-11-30T00:00:00.000Z\n"
        );
    }

    #[test]
    fn a_host_without_budgets_says_how_to_set_one() {
        let all = json!({"day": null, "resets_at": null, "job_limit": null, "budgets": []});
        let all: All = serde_json::from_value(all).unwrap();
        assert!(page(&all, None).contains("set one under [budgets] in roughneck.toml"));
    }
}
