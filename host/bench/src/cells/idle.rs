//! A host that has nothing to do, and the peer at the same time: what they write, compute and hold.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::BODY;
use crate::{
    host::Host,
    peer::Peer,
    series::Series,
    stand::Stand,
    table::{Row, Target},
};

const SLOTS: u32 = 10;

/// What a start leaves to do is done by then.
const SETTLING: Duration = Duration::from_secs(5);

/// What a side has used by an instant.
#[derive(Clone, Copy)]
struct Used {
    cpu_us: f64,
    written_kib: f64,
    rss_mib: f64,
}

impl Used {
    fn of_host(host: &Host) -> Self {
        let process = &host.process;
        Self {
            cpu_us: process.cpu_us(),
            written_kib: process.written_kib(),
            rss_mib: process.rss_mib(),
        }
    }

    fn of_peer(peer: Option<&Peer>) -> Option<Self> {
        let peer = peer?;
        Some(Self {
            cpu_us: peer.cpu_us(),
            written_kib: peer.written_kib(),
            rss_mib: peer.rss_mib(),
        })
    }

    /// Percent of one CPU since `before`.
    fn cpu_percent(&self, before: &Self, elapsed: Duration) -> Series {
        one((self.cpu_us - before.cpu_us) / 1e4 / elapsed.as_secs_f64())
    }

    /// KiB a minute since `before`.
    fn kib_a_minute(&self, before: &Self, elapsed: Duration) -> Series {
        one((self.written_kib - before.written_kib) * 60.0 / elapsed.as_secs_f64())
    }
}

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let mut host = Host::start(stand, SLOTS).await?;
    let mut peer = None;
    if let Some(installed) = &stand.peer {
        let mut started = Peer::start(stand, installed, SLOTS).await?;
        started.run().await?;
        peer = Some(started);
    }
    // A host that has worked: its statements are prepared, its memory is touched.
    let id = host.submit(BODY).await?;
    host.reached(&id, "done").await?;
    tokio::time::sleep(SETTLING).await;

    let (marks, started) = (host.marks().await?, Instant::now());
    let (before, peer_before) = (Used::of_host(&host), Used::of_peer(peer.as_ref()));
    tokio::time::sleep(stand.options.idle).await;
    let (now, peer_now) = (Used::of_host(&host), Used::of_peer(peer.as_ref()));
    let elapsed = started.elapsed();
    let syncs = host.marks().await?.syncs_since(&marks) * 60.0 / elapsed.as_secs_f64();

    host.kill().await?;
    if let Some(peer) = peer {
        peer.kill().await?;
    }
    let peer = peer_now.zip(peer_before);
    let cell = "idle";
    Ok(vec![
        Row::new(cell, "syncs a minute", one(syncs)).should_be(Target::AtMost(1.0)),
        Row::new(cell, "KiB written a minute", now.kib_a_minute(&before, elapsed))
            .beside_peer(peer.map(|(now, before)| now.kib_a_minute(&before, elapsed))),
        Row::new(cell, "% of a CPU", now.cpu_percent(&before, elapsed))
            .beside_peer(peer.map(|(now, before)| now.cpu_percent(&before, elapsed)))
            .should_be(Target::AtMost(0.5)),
        Row::new(cell, "RSS MiB", one(now.rss_mib))
            .beside_peer(peer.map(|(now, _)| one(now.rss_mib))),
    ])
}

fn one(value: f64) -> Series {
    Series::from_iter([value])
}
