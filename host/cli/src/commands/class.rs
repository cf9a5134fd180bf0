//! `roughneck class`: what jobs compete for.

use anyhow::Result;
use clap::Subcommand;
use serde::Deserialize;

use super::{
    host::Host,
    pause::{self, Pause, Paused, Resume},
};
use crate::{
    client::Connection,
    table::Table,
    terminal::{self, stdout_size},
};

const COLLECTION: &str = "classes";

/// Arguments of `roughneck class`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the classes with their slots, and what waits for them
    List,
    /// Let no job of a class begin; those that run go on
    Pause(Pause),
    /// Let jobs of a paused class begin again
    Resume(Resume),
}

#[derive(Deserialize)]
struct All {
    classes: Vec<Class>,
}

#[derive(Deserialize)]
struct Class {
    name: String,
    slots: u32,
    running: u64,
    queued: u64,
    scheduled: u64,
    blocked: u64,
    paused: Option<Paused>,
}

/// Runs `roughneck class`.
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
    let answer = host.client.get("/classes").await?;
    if host.json {
        return host.print_json(&answer);
    }
    let all: All = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&all.classes).render(columns))
}

fn table(classes: &[Class]) -> Table<7> {
    let mut table =
        Table::new(["CLASS", "SLOTS", "RUNNING", "QUEUED", "SCHEDULED", "BLOCKED", "PAUSED"]);
    for class in classes {
        table.row([
            class.name.clone(),
            class.slots.to_string(),
            class.running.to_string(),
            class.queued.to_string(),
            class.scheduled.to_string(),
            class.blocked.to_string(),
            Paused::cell(class.paused.as_ref()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_is_a_row_with_what_waits_for_it() {
        let all: All = serde_json::from_value(json!({"classes": [
            {"name": "io", "slots": 10, "running": 3, "queued": 7, "scheduled": 1, "blocked": 0, "paused": null},
            {"name": "cpu", "slots": 4, "running": 0, "queued": 2, "scheduled": 0, "blocked": 0,
             "paused": {"since": "2026-01-01T00:00:00.000Z", "until": null, "reason": "the fan is loud"}},
        ]}))
        .unwrap();
        assert_eq!(
            table(&all.classes).render(None),
            "CLASS  SLOTS  RUNNING  QUEUED  SCHEDULED  BLOCKED  PAUSED\n\
             io     10     3        7       1          0        -\n\
             cpu    4      0        2       0          0        until resumed: the fan is loud\n"
        );
    }
}
