//! Durable submissions over HTTP, while nothing runs. Both sides have an empty queue at the beginning
//! and no worker that takes from it.

use std::net::SocketAddr;

use anyhow::Result;

use super::BODY;
use crate::{
    host::Host,
    load::{self, Done, Share, Until},
    no_store,
    peer::Peer,
    process::Process,
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::Request,
};

/// Connections, and how many times the peer's rate ours should be.
const CONNECTIONS: [(usize, Option<f64>); 3] = [(1, None), (16, Some(10.0)), (64, Some(8.0))];

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (connections, least) in CONNECTIONS {
        let figures = rounds(stand, connections).await?;
        rows.extend(figures.rows(connections, least));
    }
    Ok(rows)
}

/// What one server did.
#[derive(Default)]
struct Served {
    rate: Series,
    p50_ms: Series,
    p99_ms: Series,
    cpu_us: Series,
}

impl Served {
    fn push(&mut self, done: &Done, cpu_us: f64) {
        self.rate.push(done.rate());
        self.p50_ms.push(done.latency_ms(Share::Half));
        self.p99_ms.push(done.latency_ms(Share::NinetyNine));
        self.cpu_us.push(cpu_us / count(done));
    }
}

#[derive(Default)]
struct Figures {
    host: Served,
    syncs: Series,
    no_store: Served,
    peer: Option<Served>,
}

async fn rounds(stand: &Stand, connections: usize) -> Result<Figures> {
    let mut host = Host::start(stand, 1).await?;
    host.hold().await?;
    let (no_store, no_store_address) = no_store::start(stand).await?;
    let mut peer = None;
    if let Some(installed) = &stand.peer {
        peer = Some(Peer::start(stand, installed, 1).await?);
    }
    let load = |address: SocketAddr| load(stand, address, connections);

    // Every server runs warm: JavaScript needs it most.
    load(host.address).await?;
    load(no_store_address).await?;
    if let Some(peer) = &peer {
        load(peer.address).await?;
    }
    let mut figures =
        Figures { peer: peer.as_ref().map(|_| Served::default()), ..Figures::default() };
    for _ in 0..stand.options.rounds {
        let (marks, before) = (host.marks().await?, host.process.cpu_us());
        let done = load(host.address).await?;
        figures.host.push(&done, host.process.cpu_us() - before);
        figures.syncs.push(host.marks().await?.syncs_since(&marks) / count(&done));

        let before = no_store.cpu_us();
        let done = load(no_store_address).await?;
        figures.no_store.push(&done, no_store.cpu_us() - before);

        if let (Some(peer), Some(served)) = (&peer, &mut figures.peer) {
            let before = peer.cpu_us();
            let done = load(peer.address).await?;
            served.push(&done, peer.cpu_us() - before);
        }
    }
    kill(host, no_store, peer).await?;
    Ok(figures)
}

async fn load(stand: &Stand, address: SocketAddr, connections: usize) -> Result<Done> {
    let request = Request::post("/jobs", BODY);
    load::run(address, connections, &request, Until::Time(stand.options.span)).await
}

async fn kill(host: Host, no_store: Process, peer: Option<Peer>) -> Result<()> {
    host.kill().await?;
    no_store.kill().await?;
    match peer {
        Some(peer) => peer.kill().await,
        None => Ok(()),
    }
}

impl Figures {
    fn rows(self, connections: usize, least: Option<f64>) -> Vec<Row> {
        let cell = format!("enqueue, {connections} connections");
        let Self { host, syncs, no_store, peer } = self;
        let peer = peer.unwrap_or_default();
        let row = |figure, ours, theirs: Series| {
            let measured = theirs.median().is_some().then_some(theirs);
            Row::new(&cell, figure, ours).beside_peer(measured)
        };
        let host_rate = host.rate.clone();
        let mut rate = row("jobs/s", host.rate, peer.rate);
        let mut p99 = row("p99 ms", host.p99_ms, peer.p99_ms);
        let mut syncs = Row::new(&cell, "syncs/job", syncs);
        if let Some(least) = least {
            rate = rate.should_be(Target::RatioAtLeast(least));
            p99 = p99.should_be(Target::RatioAtMost(1.0 / 6.0));
        }
        if connections == 64 {
            syncs = syncs.should_be(Target::AtMost(0.1));
        }
        vec![
            rate,
            Row::new(&cell, "jobs/s", host_rate).beside("no store", no_store.rate),
            row("p50 ms", host.p50_ms, peer.p50_ms),
            p99,
            row("CPU µs/job", host.cpu_us.clone(), peer.cpu_us),
            Row::new(&cell, "CPU µs/job", host.cpu_us)
                .beside("no store", no_store.cpu_us)
                .should_be(Target::RatioAtMost(1.5)),
            syncs,
        ]
    }
}

fn count(done: &Done) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
    let answers = done.answers as f64;
    answers
}
