//! How fast pieces of answers pass: one stream, and sixteen clients at once. There is one call at a time in
//! Ollama whatever the way is, so sixteen clients stand in line everywhere.

use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::{Installed, Way, Ways, chat};
use crate::{
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::Connection,
};

/// Clients at once, and the pieces of an answer to one of them.
const CLIENTS: [(usize, usize); 2] = [(1, 20_000), (16, 2_000)];

pub(super) async fn measure(stand: &Stand, proxy: Option<&Installed>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (clients, words) in CLIENTS {
        let ways = Ways::start(stand, proxy, words).await?;
        let mut all: Vec<(Way, Figures)> =
            ways.all().into_iter().map(|way| (way, Figures::default())).collect();
        // The first round warms up.
        for round in 0..=stand.options.rounds {
            for (way, figures) in &mut all {
                let before = ways.cpu_us(*way);
                let (pieces, rate) = load(stand, &ways, *way, clients, words).await?;
                if round > 0 {
                    figures.rate.push(rate);
                    figures.cpu_us.push((ways.cpu_us(*way) - before) / pieces);
                }
            }
        }
        ways.kill().await?;
        rows.extend(table(clients, &all));
    }
    Ok(rows)
}

/// Of one way, a value a round.
#[derive(Clone, Debug, Default)]
struct Figures {
    /// Pieces in a second.
    rate: Series,
    /// CPU time of a piece, in microseconds.
    cpu_us: Series,
}

/// Asks again and again for a while. Returns the pieces that came, and how many in a second.
async fn load(
    stand: &Stand,
    ways: &Ways,
    way: Way,
    clients: usize,
    words: usize,
) -> Result<(f64, f64)> {
    let mut open = Vec::new();
    for _ in 0..clients {
        open.push(Connection::open(ways.address(way)).await?);
    }
    let started = Instant::now();
    let ends = started + stand.options.span;
    let mut tasks = JoinSet::new();
    for mut connection in open {
        tasks.spawn(async move {
            let (request, mut lines) = (chat(words), 0);
            while Instant::now() < ends {
                lines += connection.stream(&request).await?.lines;
            }
            anyhow::Ok(lines)
        });
    }
    let mut lines = 0;
    while let Some(done) = tasks.join_next().await {
        lines += done??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
    let pieces = lines as f64;
    Ok((pieces, pieces / started.elapsed().as_secs_f64()))
}

fn table(clients: usize, all: &[(Way, Figures)]) -> Vec<Row> {
    let cell = format!("pieces, {clients} clients");
    let of = |wanted: Way| {
        let mut figures = all.iter().filter(|(way, _)| *way == wanted);
        figures.next().map(|(_, figures)| figures.clone())
    };
    let (direct, proxy) = (of(Way::Direct).unwrap_or_default(), of(Way::Proxy));
    let host = of(Way::Host).unwrap_or_default();
    let mut rows =
        vec![Row::new(&cell, "pieces/s", host.rate.clone()).beside("direct", direct.rate)];
    if let Some(proxy) = proxy {
        rows.push(
            Row::new(&cell, "pieces/s", host.rate)
                .beside("nginx", proxy.rate)
                .should_be(Target::RatioAtLeast(0.8)),
        );
        rows.push(
            Row::new(&cell, "CPU µs/piece", host.cpu_us)
                .beside("nginx", proxy.cpu_us)
                .should_be(Target::RatioAtMost(1.5)),
        );
    } else {
        rows.push(Row::new(&cell, "CPU µs/piece", host.cpu_us));
    }
    rows
}
