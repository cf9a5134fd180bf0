//! From a submission to the start of its handler, while nothing else is to do: one job each 10 ms, over
//! HTTP on both sides. The handlers tell when they began, by the wall clock that all processes share.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    clock::unix_us,
    host::Host,
    peer::Peer,
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::{Connection, Request},
};

const SLOTS: u32 = 10;

const EVERY: Duration = Duration::from_millis(10);

/// How long the peer may take to begin jobs that it has all accepted.
const LIMIT: Duration = Duration::from_secs(60);

/// Jobs of one round in three seconds of span.
const JOBS: u64 = 200;

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let jobs = usize::try_from(JOBS * stand.options.span.as_secs().clamp(1, 3) / 3)?;
    let mut host = Host::start(stand, SLOTS).await?;
    let mut peer = None;
    if let Some(installed) = &stand.peer {
        let mut started = Peer::start(stand, installed, SLOTS).await?;
        started.run().await?;
        peer = Some(started);
    }
    let (mut ours, mut theirs) = (Delays::default(), Delays::default());
    for round in 0..=stand.options.rounds {
        let (delays, peer_delays) = (
            of_host(&mut host, jobs).await?,
            match &mut peer {
                Some(peer) => of_peer(peer, jobs).await?,
                None => Vec::new(),
            },
        );
        // The round before the first one warms up.
        if round > 0 {
            ours.push(delays);
            theirs.push(peer_delays);
        }
    }
    host.kill().await?;
    if let Some(peer) = peer {
        peer.kill().await?;
    }
    let cell = "idle dispatch";
    let measured = |series: Series| series.median().is_some().then_some(series);
    Ok(vec![
        Row::new(cell, "p50 ms", ours.p50_ms)
            .beside_peer(measured(theirs.p50_ms))
            .should_be(Target::RatioAtMost(1.0 / 8.0)),
        Row::new(cell, "p99 ms", ours.p99_ms).beside_peer(measured(theirs.p99_ms)),
    ])
}

#[derive(Default)]
struct Delays {
    p50_ms: Series,
    p99_ms: Series,
}

impl Delays {
    fn push(&mut self, mut delays_us: Vec<i64>) {
        delays_us.sort_unstable();
        let last = delays_us.len().saturating_sub(1);
        let ms = |at: usize| delays_us.get(at).map_or(f64::NAN, |&us| us_to_ms(us));
        self.p50_ms.push(ms(last / 2));
        self.p99_ms.push(ms(last - last / 100));
    }
}

fn us_to_ms(us: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one delay")]
    let us = us as f64;
    us / 1000.0
}

async fn of_host(host: &mut Host, jobs: usize) -> Result<Vec<i64>> {
    let mut ticks = ticks();
    let mut sent = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        ticks.tick().await;
        let at = unix_us();
        sent.push((at, host.submit(r#"{"kind":"stamp"}"#).await?));
    }
    let mut delays = Vec::with_capacity(jobs);
    for (at, id) in sent {
        host.reached(&id, "done").await?;
        let job = host.job(&id).await?;
        let began = job.pointer("/output/began_us").and_then(serde_json::Value::as_i64);
        delays.push(began.context("the job has no stamp")? - at);
    }
    Ok(delays)
}

async fn of_peer(peer: &mut Peer, jobs: usize) -> Result<Vec<i64>> {
    let mut client = Connection::open(peer.address).await?;
    let mut ticks = ticks();
    let mut sent = Vec::with_capacity(jobs);
    for seq in 0..jobs {
        let body = json!({ "kind": "stamp", "input": { "seq": seq } }).to_string();
        let request = Request::post("/jobs", &body);
        ticks.tick().await;
        sent.push(unix_us());
        drop(client.send(&request).await?.json(202)?);
    }
    let mut began = peer.began().await?;
    let all = async {
        while began.len() < jobs {
            tokio::time::sleep(EVERY).await;
            began.extend(peer.began().await?);
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, all).await.context("the peer has not begun every job")??;
    let delay = |(seq, at): (usize, i64)| Some(at - sent.get(seq)?);
    Ok(began.into_iter().filter_map(delay).collect())
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(EVERY);
    // After a slow answer the next job is not hurried.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
