//! No-op jobs that wait, run by the host itself at three widths.

use std::time::Duration;

use anyhow::Result;

use super::BODY;
use crate::{
    host::Host,
    peer::Peer,
    series::Series,
    stand::Stand,
    table::{Row, Target},
};

/// No drain is waited for longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Jobs that run before the first round.
const WARM_UP: u64 = 500;

/// How wide a class is, what one round drains, and what should come of it.
struct Width {
    slots: u32,
    jobs: u64,
    peer_jobs: u64,
    rate: Option<f64>,
    cpu_us: Option<f64>,
    syncs: Option<f64>,
}

const WIDTHS: [Width; 3] = [
    Width {
        slots: 50,
        jobs: 20_000,
        peer_jobs: 5_000,
        rate: Some(6.0),
        cpu_us: Some(35.0),
        syncs: None,
    },
    Width { slots: 10, jobs: 15_000, peer_jobs: 3_000, rate: None, cpu_us: None, syncs: None },
    Width {
        slots: 1,
        jobs: 3_000,
        peer_jobs: 1_000,
        rate: Some(5.0),
        cpu_us: None,
        syncs: Some(0.2),
    },
];

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for width in &WIDTHS {
        rows.extend(rounds(stand, width).await?);
    }
    Ok(rows)
}

async fn rounds(stand: &Stand, width: &Width) -> Result<Vec<Row>> {
    // A quick run has a third of the span.
    let part = stand.options.span.as_secs().clamp(1, 3);
    let (jobs, peer_jobs) = (width.jobs * part / 3, width.peer_jobs * part / 3);
    let mut host = Host::start(stand, width.slots).await?;
    let mut peer = None;
    if let Some(installed) = &stand.peer {
        peer = Some(Peer::start(stand, installed, width.slots).await?);
    }
    let [mut rate, mut cpu_us, mut syncs] = [(); 3].map(|()| Series::default());
    let [mut peer_rate, mut peer_cpu_us] = [(); 2].map(|()| Series::default());
    for round in 0..=stand.options.rounds {
        // The round before the first one warms up.
        let is_warm = round > 0;
        let jobs = if is_warm { jobs } else { WARM_UP };
        host.hold().await?;
        host.fill(BODY, jobs).await?;
        let drained = host.drain(jobs, LIMIT).await?;
        if is_warm {
            rate.push(drained.rate);
            cpu_us.push(drained.cpu_us);
            syncs.push(drained.syncs);
        }
        let Some(peer) = &mut peer else { continue };
        let peer_jobs = if is_warm { peer_jobs } else { WARM_UP };
        peer.fill(BODY, peer_jobs).await?;
        let drained = peer.drain(peer_jobs).await?;
        if is_warm {
            peer_rate.push(drained.rate);
            peer_cpu_us.push(drained.cpu_us);
        }
    }
    host.kill().await?;
    if let Some(peer) = peer {
        peer.kill().await?;
    }
    let measured = |series: Series| series.median().is_some().then_some(series);
    let cell = format!("drain, concurrency {}", width.slots);
    let mut rate = Row::new(&cell, "jobs/s", rate).beside_peer(measured(peer_rate));
    let mut cpu_us = Row::new(&cell, "CPU µs/job", cpu_us).beside_peer(measured(peer_cpu_us));
    let mut syncs = Row::new(&cell, "syncs/job", syncs);
    if let Some(least) = width.rate {
        rate = rate.should_be(Target::RatioAtLeast(least));
    }
    if let Some(most) = width.cpu_us {
        cpu_us = cpu_us.should_be(Target::AtMost(most));
    }
    if let Some(most) = width.syncs {
        syncs = syncs.should_be(Target::AtMost(most));
    }
    Ok(vec![rate, cpu_us, syncs])
}
