//! A shallow queue beside a deep one: two hosts at once, measured in turns. The peer takes no part: it
//! is not what the deep queue is compared with.

use std::time::Duration;

use anyhow::Result;
use roughneck_jobs::clock::Clock as _;

use super::BODY;
use crate::{
    clock::System,
    host::Host,
    load::{self, Until},
    series::Series,
    stand::Stand,
    table::{Row, Target},
    wire::Request,
};

const SLOTS: u32 = 10;

const CONNECTIONS: usize = 64;

/// Jobs in the shallow queue.
const SHALLOW: u64 = 1_000;

/// Of ten jobs that wait in the deep queue, one more waits for its time.
const SCHEDULED_SHARE: u64 = 10;

/// The scheduled ones wait for a day.
const LATER_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    let depth = stand.options.depth;
    let (mut shallow, mut deep) =
        (Host::start(stand, SLOTS).await?, Host::start(stand, SLOTS).await?);
    let idle_mib = deep.process.rss_mib();
    for host in [&mut shallow, &mut deep] {
        host.hold().await?;
    }
    shallow.fill(BODY, SHALLOW).await?;
    eprintln!("bench: filling a queue with {depth} jobs");
    deep.fill(BODY, depth).await?;
    let later = System.now().plus_ms(LATER_MS).0;
    let scheduled = format!(r#"{{"kind":"noop","run_at":{later},"input":{{"tenant":"north"}}}}"#);
    deep.fill(&scheduled, depth / SCHEDULED_SHARE).await?;
    let above_mib = deep.process.rss_mib() - idle_mib;

    let [mut enqueue, mut drain, mut shallow_enqueue, mut shallow_drain] =
        [(); 4].map(|()| Series::default());
    for _ in 0..stand.options.rounds {
        let (enqueued, drained) = round(stand, &mut shallow).await?;
        shallow_enqueue.push(enqueued);
        shallow_drain.push(drained);
        let (enqueued, drained) = round(stand, &mut deep).await?;
        enqueue.push(enqueued);
        drain.push(drained);
    }
    let after_mib = deep.process.rss_mib() - idle_mib;
    shallow.kill().await?;
    deep.kill().await?;
    let cell = format!("depth {depth}");
    Ok(vec![
        Row::new(&cell, "enqueue jobs/s", enqueue)
            .beside("1k queued", shallow_enqueue)
            .should_be(Target::RatioAtLeast(0.9)),
        Row::new(&cell, "drain jobs/s", drain)
            .beside("1k queued", shallow_drain)
            .should_be(Target::RatioAtLeast(0.9)),
        Row::new(&cell, "RSS above idle, MiB", Series::from_iter([above_mib.max(after_mib)]))
            .should_be(Target::AtMost(64.0)),
    ])
}

/// Submits for the span while nothing runs, then lets as many jobs run: the depth stays as it is.
async fn round(stand: &Stand, host: &mut Host) -> Result<(f64, f64)> {
    let request = Request::post("/jobs", BODY);
    let until = Until::Time(stand.options.span);
    let submitted = load::run(host.address, CONNECTIONS, &request, until).await?;
    let drained = host.drain(submitted.answers, Duration::from_secs(60)).await?;
    host.hold().await?;
    Ok((submitted.rate(), drained.rate))
}
