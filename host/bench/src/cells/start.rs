//! From the start of the processes to the first job that is done, on empty data.

use std::time::Instant;

use anyhow::Result;

use super::BODY;
use crate::{
    host::Host,
    peer::Peer,
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::{Connection, Request},
};

const SLOTS: u32 = 10;

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    for _ in 0..stand.options.rounds {
        ours.push(of_host(stand).await?);
        if let Some(installed) = &stand.peer {
            let started = Instant::now();
            let mut peer = Peer::start(stand, installed, SLOTS).await?;
            peer.run().await?;
            let mut client = Connection::open(peer.address).await?;
            drop(client.send(&Request::post("/jobs", BODY)).await?.json(202)?);
            peer.worker.said("first").await?;
            theirs.push(started.elapsed().as_secs_f64() * 1000.0);
            peer.kill().await?;
        }
    }
    let theirs = stand.peer.is_some().then_some(theirs);
    let row = Row::new("cold start to the first job done", "ms", ours);
    Ok(vec![row.beside_peer(theirs).should_be(Target::RatioAtMost(1.0 / 25.0))])
}

async fn of_host(stand: &Stand) -> Result<f64> {
    let started = Instant::now();
    let mut host = Host::start(stand, SLOTS).await?;
    let id = host.submit(BODY).await?;
    host.reached(&id, "done").await?;
    let elapsed = started.elapsed();
    host.kill().await?;
    Ok(elapsed.as_secs_f64() * 1000.0)
}
