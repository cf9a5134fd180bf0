//! `roughneck plugin`: what a running host can do, and what it refused to load.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Subcommand;
use roughneck_jobs::priority::Priority;
use serde::Deserialize;

use crate::{
    client::{Client, Connection},
    span::span,
    table::Table,
    terminal::{self, clean, stdout_size},
};

/// Arguments of `roughneck plugin`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the plugins with their kinds, and those that were refused with the reason
    List,
}

#[derive(Deserialize)]
struct Plugins {
    plugins: Vec<Plugin>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Plugin {
    name: String,
    version: String,
    kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    name: String,
    description: String,
    class: String,
    priority: Priority,
    timeout_ms: u64,
    attempts_max: u32,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    code: String,
    message: String,
}

/// Runs `roughneck plugin`.
///
/// # Errors
/// If no host answers.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let client = Client::new(&arguments.connection.url)?;
    match arguments.action {
        Action::List => {
            let answer = client.get("/plugins").await?;
            if arguments.connection.json {
                return terminal::print(&format!("{}\n", answer.text()));
            }
            terminal::print(&page(&answer.parse()?, stdout_size().map(|size| size.columns)))
        }
    }
}

fn page(all: &Plugins, columns: Option<usize>) -> String {
    let mut table = Table::new([
        "PLUGIN",
        "VERSION",
        "KIND",
        "CLASS",
        "PRIORITY",
        "TIMEOUT",
        "ATTEMPTS",
        "DESCRIPTION",
    ]);
    for plugin in &all.plugins {
        for kind in &plugin.kinds {
            table.row([
                plugin.name.clone(),
                plugin.version.clone(),
                kind.name.clone(),
                kind.class.clone(),
                kind.priority.to_string(),
                span(kind.timeout_ms),
                kind.attempts_max.to_string(),
                kind.description.clone(),
            ]);
        }
    }
    let mut page = table.render(columns);
    if !all.refused.is_empty() {
        page.push_str("\nREFUSED\n");
    }
    for plugin in &all.refused {
        // Never cut: the sentence says what to do.
        let (name, message) = (clean(&plugin.name), clean(&plugin.message));
        let _ = writeln!(page, "{name} ({})\n  {message}", plugin.code);
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_a_row_and_a_refusal_keeps_its_whole_sentence() {
        let told = json!({
            "plugins": [{"name": "mill", "version": "1.0.0", "kinds": [
                {"name": "grind", "description": "Grinds grain.", "class": "cpu",
                    "priority": "normal", "timeout_ms": 5000, "attempts_max": 3},
            ]}],
            "refused": [{"name": "well", "code": "not-granted",
                "message": "it wants to reach the network; add [grants.well] to roughneck.toml"}],
        });
        let page = page(&serde_json::from_value(told).unwrap(), Some(40));
        assert_eq!(
            page,
            "PLUGIN  VERSION  KIND   CLASS  PRIORITY…\n\
             mill    1.0.0    grind  cpu    normal  …\n\
             \nREFUSED\nwell (not-granted)\n  \
             it wants to reach the network; add [grants.well] to roughneck.toml\n"
        );
    }
}
