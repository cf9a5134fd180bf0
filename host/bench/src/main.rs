//! Measures the real binary from outside, and a peer beside it: `cargo xtask bench queue`; and simulates
//! days of the lane's planner: `cargo xtask bench lane` ([`lane`]).
//!
//! What it does: each cell in [`cells`] starts the processes it needs on fresh data ([`host`],
//! [`peer`], [`no_store`]), measures them in turns for several rounds, and gives rows for one table
//! ([`table`]). Rates are only as steady as the machine, so each stands beside counts that are steadier:
//! CPU time of the server's processes, and syncs.
//!
//! What it deliberately does not: to measure, it knows nothing of the host but its HTTP surface and its
//! flags. To add a cell, write a file in `cells/` and a line in [`cells::ALL`].

mod cells;
mod clock;
mod host;
mod lane;
mod load;
mod no_store;
mod options;
mod peer;
mod process;
mod procfs;
mod series;
mod stand;
mod table;
mod wire;

use std::process::ExitCode;

use anyhow::{Result, bail};

use options::Options;
use stand::Stand;

/// What this program is called with.
const USAGE: &str = "usage: roughneck-bench queue [OPTIONS] | lane | no-store";

/// One thread: the load must leave the machine to what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Vec<String>) -> Result<()> {
    match arguments.split_first() {
        Some((first, rest)) if first == "queue" => queue(Options::read(rest)?).await,
        Some((first, [])) if first == "lane" => {
            println!("{}", lane::simulate());
            Ok(())
        }
        Some((first, [])) if first == no_store::COMMAND => no_store::serve(),
        Some(_) | None => bail!("{USAGE}\n\n{}", options::USAGE),
    }
}

async fn queue(options: Options) -> Result<()> {
    let stand = Stand::find(options).await?;
    let mut rows = Vec::new();
    for (name, cell) in cells::ALL {
        if stand.options.wants(name) {
            eprintln!("bench: {name}");
            rows.extend(cell.measure(&stand).await?);
            eprintln!("{}", table::render(&rows));
        }
    }
    println!("{}\n{}", stand.describe(), table::render(&rows));
    Ok(())
}
