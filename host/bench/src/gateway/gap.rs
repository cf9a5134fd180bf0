//! How long Ollama has nothing to do between two calls while others wait in the lane.

use anyhow::{Result, ensure};
use tokio::{task::JoinSet, time::Instant};

use super::{Ways, chat};
use crate::{
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::Connection,
};

/// Clients that always have a call in the lane.
const CLIENTS: usize = 8;

/// Tokens of an answer.
const TOKENS: usize = 8;

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let mut ways = Ways::start(stand, None, TOKENS).await?;
    let (mut p50_ms, mut p99_ms) = (Series::default(), Series::default());
    // The first round warms up.
    for round in 0..=stand.options.rounds {
        load(stand, &ways).await?;
        let mut gaps = ways.ollama.new_gaps_ms().await?;
        ensure!(!gaps.is_empty(), "Ollama knows of no two calls of this round");
        if round > 0 {
            gaps.sort_by(f64::total_cmp);
            let last = gaps.len().saturating_sub(1);
            let at = |index: usize| gaps.get(index).copied().unwrap_or(f64::NAN);
            p50_ms.push(at(last / 2));
            p99_ms.push(at(last - last / 100));
        }
    }
    ways.kill().await?;
    let cell = format!("gap between calls, {CLIENTS} clients");
    Ok(vec![
        Row::new(&cell, "p50 ms", p50_ms).should_be(Target::AtMost(1.0)),
        Row::new(&cell, "p99 ms", p99_ms),
    ])
}

async fn load(stand: &Stand, ways: &Ways) -> Result<()> {
    let ends = Instant::now() + stand.options.span;
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut connection = Connection::open(ways.host.address).await?;
        tasks.spawn(async move {
            while Instant::now() < ends {
                connection.stream(&chat(TOKENS)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
