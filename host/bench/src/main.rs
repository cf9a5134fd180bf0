//! Measures the real binary from outside, and a peer beside it: `cargo xtask bench queue` and `cargo xtask
//! bench gateway`; and simulates days of the lane's planner: `cargo xtask bench lane` ([`lane`]).
//!
//! What it does: each cell in [`cells`] (the queue) and [`gateway`] (Ollama's surface) starts the processes
//! it needs on fresh data ([`host`], [`peer`], [`no_store`]), measures them in turns for several rounds, and gives
//! rows for one table ([`table`]). Rates are only as steady as the machine, so each stands beside counts that are steadier:
//! CPU time of the server's processes, and syncs.
//!
//! What it deliberately does not: to measure, it knows nothing of the host but its HTTP surface and its
//! flags. To add a cell, write a file in `cells/` or `gateway/` and a line in its `ALL`.

mod cells;
mod chunked;
mod clock;
mod gateway;
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
const USAGE: &str =
    "usage: roughneck-bench queue [OPTIONS] | gateway [OPTIONS] | lane | no-store | ollama";

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
        Some((first, rest)) if first == "queue" => measure_queue(rest).await,
        Some((first, rest)) if first == "gateway" => measure_gateway(rest).await,
        Some((first, [])) if first == "lane" => {
            println!("{}", lane::simulate());
            Ok(())
        }
        Some((first, [])) if first == no_store::COMMAND => no_store::serve(),
        Some((first, [words])) if first == gateway::OLLAMA => gateway::simulate(words).await,
        Some(_) | None => bail!("{USAGE}\n\n{}", options::USAGE),
    }
}

async fn measure_queue(arguments: &[String]) -> Result<()> {
    let names = cells::ALL.map(|(name, _)| name);
    let stand = Stand::find(Options::read(arguments, &names)?)?.with_peer().await?;
    let mut rows = Vec::new();
    for (name, cell) in cells::ALL {
        if stand.options.wants(name) {
            eprintln!("bench: {name}");
            rows.extend(cell.measure(&stand).await?);
            eprintln!("{}", table::render(&rows));
        }
    }
    let peer = stand.peer.as_ref().map(|peer| peer.versions.as_str());
    println!("{}\n{}", stand.describe(peer), table::render(&rows));
    Ok(())
}

async fn measure_gateway(arguments: &[String]) -> Result<()> {
    let names = gateway::ALL.map(|(name, _)| name);
    let stand = Stand::find(Options::read(arguments, &names)?)?;
    let proxy = if stand.options.peer { gateway::Installed::find().await } else { None };
    let mut rows = Vec::new();
    for (name, cell) in gateway::ALL {
        if stand.options.wants(name) {
            eprintln!("bench: {name}");
            rows.extend(cell.measure(&stand, proxy.as_ref()).await?);
            eprintln!("{}", table::render(&rows));
        }
    }
    let proxy = proxy.as_ref().map(|proxy| proxy.version.as_str());
    println!("{}\n{}", stand.describe(proxy), table::render(&rows));
    Ok(())
}
