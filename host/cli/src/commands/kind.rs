//! `roughneck kind`: what can be run, and what keeps its jobs back.

use anyhow::Result;
use clap::Subcommand;
use serde::Deserialize;

use super::{
    host::Host,
    pause::{self, Pause, Paused, Resume},
};
use crate::{
    client::Connection,
    span::span,
    table::Table,
    terminal::{self, stdout_size},
};

const COLLECTION: &str = "kinds";

/// Arguments of `roughneck kind`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the kinds with their limits, and why one is paused
    List,
    /// Let no job of a kind begin; those that run go on
    Pause(Pause),
    /// Let jobs of a paused kind begin again, also of one that paused itself
    Resume(Resume),
}

#[derive(Deserialize)]
struct All {
    kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    name: String,
    plugin: String,
    class: String,
    rate: Option<Rate>,
    concurrency: Option<u32>,
    paused: Option<Paused>,
}

#[derive(Deserialize)]
struct Rate {
    count: u32,
    per_ms: u64,
}

/// Runs `roughneck kind`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let host = Host::of(&arguments.connection)?;
    let ended = match &arguments.action {
        Action::List => list(&host).await,
        Action::Pause(arguments) => pause::pause(&host, COLLECTION, arguments).await,
        Action::Resume(arguments) => pause::resume(&host, COLLECTION, arguments).await,
    };
    host.told(ended)
}

async fn list(host: &Host) -> Result<()> {
    let answer = host.client.get("/kinds").await?;
    if host.json {
        return host.print_json(&answer);
    }
    let all: All = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&all.kinds).render(columns))
}

fn table(kinds: &[Kind]) -> Table<6> {
    let mut table = Table::new(["KIND", "PLUGIN", "CLASS", "RATE", "AT ONCE", "PAUSED"]);
    let none = || "-".to_owned();
    for kind in kinds {
        let rate = kind.rate.as_ref();
        table.row([
            kind.name.clone(),
            kind.plugin.clone(),
            kind.class.clone(),
            rate.map_or_else(none, |rate| format!("{} in {}", rate.count, span(rate.per_ms))),
            kind.concurrency.map_or_else(none, |limit| format!("{limit} of a key")),
            Paused::cell(kind.paused.as_ref()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_a_row_with_its_limits_and_its_pause() {
        let all: All = serde_json::from_value(json!({"kinds": [
            {"name": "draft", "plugin": "newsletter", "class": "ollama", "description": "",
             "rate": {"count": 30, "per_ms": 60000}, "concurrency": 1, "paused": null},
            {"name": "grind", "plugin": "mill", "class": "cpu", "description": "", "rate": null, "concurrency": null,
             "paused": {"since": "2026-01-01T00:00:00.000Z", "until": "2026-01-01T00:01:00.000Z", "reason": "it fails"}},
        ]}))
        .unwrap();
        assert_eq!(
            table(&all.kinds).render(None),
            "KIND   PLUGIN      CLASS   RATE         AT ONCE     PAUSED\n\
             draft  newsletter  ollama  30 in 1m00s  1 of a key  -\n\
             grind  mill        cpu     -            -           until 2026-01-01T00:01:00.000Z: it fails\n"
        );
    }
}
