//! Load: the same request over and over, on several connections at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use crate::wire::{Connection, Request};

/// What is answered to a submission that was accepted.
const ACCEPTED: u16 = 202;

/// When the load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After so long.
    Time(Duration),
    /// After so many requests.
    Count(u64),
}

/// What a load did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Answers.
    pub(crate) answers: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Of every request, from its first byte to its whole answer; sorted.
    latencies: Vec<Duration>,
}

impl Done {
    /// Answers in a second.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        let answers = self.answers as f64;
        answers / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the requests did not pass, in milliseconds.
    pub(crate) fn latency_ms(&self, share: Share) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = match share {
            Share::Half => last / 2,
            Share::NinetyNine => last - last / 100,
        };
        self.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}

/// A share of the requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Share {
    /// The median.
    Half,
    /// 99 %.
    NinetyNine,
}

/// Sends `request` on so many connections until the end.
///
/// # Errors
/// If a connection breaks, or an answer is anything but `202`.
pub(crate) async fn run(
    address: SocketAddr,
    connections: usize,
    request: &Request,
    until: Until,
) -> Result<Done> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let left = Arc::new(AtomicU64::new(match until {
        Until::Time(_) => u64::MAX,
        Until::Count(count) => count,
    }));
    let started = Instant::now();
    let ends = match until {
        Until::Time(span) => Some(started + span),
        Until::Count(_) => None,
    };
    let mut tasks = JoinSet::new();
    for connection in open {
        tasks.spawn(repeat(connection, request.clone(), Arc::clone(&left), ends));
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Ok(Done { answers: latencies.len() as u64, elapsed, latencies })
}

async fn repeat(
    mut connection: Connection,
    request: Request,
    left: Arc<AtomicU64>,
    ends: Option<Instant>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    while ends.is_none_or(|end| now < end) && take(&left) {
        let answer = connection.send(&request).await?;
        if answer.status != ACCEPTED {
            bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        let answered = Instant::now();
        latencies.push(answered - now);
        now = answered;
    }
    Ok(latencies)
}

/// Takes one of what is left.
fn take(left: &AtomicU64) -> bool {
    let one_less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_were_measured() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let done = Done { answers: 200, elapsed: Duration::from_secs(2), latencies };
        assert!((done.rate() - 100.0).abs() < 1e-9);
        assert!((done.latency_ms(Share::Half) - 100.0).abs() < 1e-9);
        assert!((done.latency_ms(Share::NinetyNine) - 199.0).abs() < 1e-9);
    }
}
