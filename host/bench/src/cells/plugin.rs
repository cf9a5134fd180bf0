//! A no-op in the sandbox beside the native one, ten at a time, in the same host.

use std::time::Duration;

use anyhow::Result;

use super::BODY;
use crate::{
    host::{Drained, Host},
    series::Series,
    stand::Stand,
    table::{Row, Target},
};

const SLOTS: u32 = 10;

/// Jobs of one round in three seconds of span.
const JOBS: u64 = 6_000;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn measure(stand: &Stand) -> Result<Vec<Row>> {
    // The fixture's `echo` returns its input, as `noop` does.
    let in_sandbox = BODY.replace("noop", "echo");
    let jobs = JOBS * stand.options.span.as_secs().clamp(1, 3) / 3;
    let mut host = Host::start_with_plugin(stand, SLOTS).await?;
    let [mut rate, mut cpu_us, mut native_rate, mut native_cpu_us] =
        [(); 4].map(|()| Series::default());
    for round in 0..=stand.options.rounds {
        let plugin = drain(&mut host, &in_sandbox, jobs).await?;
        let native = drain(&mut host, BODY, jobs).await?;
        // The round before the first one warms up.
        if round > 0 {
            rate.push(plugin.rate);
            cpu_us.push(plugin.cpu_us);
            native_rate.push(native.rate);
            native_cpu_us.push(native.cpu_us);
        }
    }
    host.kill().await?;
    let cell = format!("drain of a plugin, concurrency {SLOTS}");
    Ok(vec![
        Row::new(&cell, "jobs/s", rate)
            .beside("native", native_rate)
            .should_be(Target::RatioAtLeast(0.5)),
        Row::new(&cell, "CPU µs/job", cpu_us).beside("native", native_cpu_us),
    ])
}

async fn drain(host: &mut Host, body: &str, jobs: u64) -> Result<Drained> {
    host.hold().await?;
    host.fill(body, jobs).await?;
    host.drain(jobs, LIMIT).await
}
