//! What a way adds to the time from a request to the first byte of its answer, one call after another.

use anyhow::Result;

use super::{Installed, Way, Ways, chat};
use crate::{
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::Connection,
};

/// Calls of each way in a round. What a call leaves behind to be done falls on the next one of the same way.
const CALLS: u32 = 400;

/// Tokens of an answer.
const TOKENS: usize = 8;

pub(super) async fn measure(stand: &Stand, proxy: Option<&Installed>) -> Result<Vec<Row>> {
    let mut ways = Ways::start(stand, proxy, TOKENS).await?;
    let mut lines = Vec::new();
    for way in ways.all() {
        lines.push((way, Connection::open(ways.address(way)).await?, Figures::default()));
    }
    let mut syncs = Series::default();
    // The first round warms up.
    for round in 0..=stand.options.rounds {
        let marks = ways.host.marks().await?;
        for (way, connection, figures) in &mut lines {
            let before = ways.cpu_us(*way);
            let mut waits = Vec::new();
            for _ in 0..CALLS {
                waits.push(connection.stream(&chat(TOKENS)).await?.first_byte.as_secs_f64() * 1e6);
            }
            if round > 0 {
                figures.push(waits, (ways.cpu_us(*way) - before) / f64::from(CALLS));
            }
        }
        if round > 0 {
            syncs.push(ways.host.marks().await?.syncs_since(&marks) / f64::from(CALLS));
        }
    }
    ways.kill().await?;
    let of = |wanted: Way| {
        let mut figures = lines.iter().filter(|(way, ..)| *way == wanted);
        figures.next().map(|(.., figures)| figures.clone()).unwrap_or_default()
    };
    Ok(rows(&of(Way::Direct), &of(Way::Proxy), &of(Way::Host), syncs))
}

/// Of one way, a value a round.
#[derive(Clone, Debug, Default)]
struct Figures {
    p50_us: Series,
    p99_us: Series,
    cpu_us: Series,
}

impl Figures {
    fn push(&mut self, mut waits: Vec<f64>, cpu_us: f64) {
        waits.sort_by(f64::total_cmp);
        let last = waits.len().saturating_sub(1);
        let at = |index: usize| waits.get(index).copied().unwrap_or(f64::NAN);
        self.p50_us.push(at(last / 2));
        self.p99_us.push(at(last - last / 100));
        self.cpu_us.push(cpu_us);
    }
}

fn rows(direct: &Figures, proxy: &Figures, host: &Figures, syncs: Series) -> Vec<Row> {
    let row = |figure, ours: Series, theirs: &Series| {
        let row = Row::new("first byte", figure, ours);
        if theirs.median().is_some() { row.beside("nginx", theirs.clone()) } else { row }
    };
    let added = |figure, of: fn(&Figures) -> &Series, at_most| {
        let (ours, theirs) = (of(host).less(of(direct)), of(proxy).less(of(direct)));
        row(figure, ours, &theirs).should_be(Target::RatioAtMost(at_most))
    };
    vec![
        Row::new("first byte", "p50 µs", host.p50_us.clone())
            .beside("direct", direct.p50_us.clone()),
        added("added p50 µs", |figures| &figures.p50_us, 1.0),
        Row::new("first byte", "p99 µs", host.p99_us.clone())
            .beside("direct", direct.p99_us.clone()),
        added("added p99 µs", |figures| &figures.p99_us, 1.5),
        row("CPU µs/call", host.cpu_us.clone(), &proxy.cpu_us),
        Row::new("first byte", "syncs/call, after it", syncs),
    ]
}
