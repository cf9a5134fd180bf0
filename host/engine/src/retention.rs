//! Deletes what ended long ago.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{clock::Millis, ports::store::StoreError, state::State};
use tracing::{error, info};

use crate::{pause::AFTER_ERROR, start::Shared};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a fire of a schedule is remembered. It keeps a fire from running twice after the wall
/// clock was set back, and no clock is set back by a month.
const FIRES_KEPT_MS: u64 = 30 * DAY_MS;

/// How often somebody looks for what is old. Ten minutes matter to no limit of days.
const LOOK: Duration = Duration::from_secs(600);

/// Jobs or fires deleted by one command, so that it does not hold up the writer.
const BATCH: u32 = 200;

/// How long a job is kept after its end, by how it ended: milliseconds, or none for ever. A job whose
/// webhooks are still being sent is kept until they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// With a result.
    pub done_ms: Option<u64>,
    /// As a dead letter.
    pub failed_ms: Option<u64>,
    /// On request.
    pub cancelled_ms: Option<u64>,
}

impl Default for Retention {
    /// Two weeks for the dead letters, which somebody should look at, and one for the others.
    fn default() -> Self {
        Self {
            done_ms: Some(7 * DAY_MS),
            failed_ms: Some(14 * DAY_MS),
            cancelled_ms: Some(7 * DAY_MS),
        }
    }
}

impl Retention {
    /// The latest end of the jobs that go now, by state.
    fn ends(&self, now: Millis) -> impl Iterator<Item = (State, Millis)> {
        [
            (State::Done, self.done_ms),
            (State::Failed, self.failed_ms),
            (State::Cancelled, self.cancelled_ms),
        ]
        .into_iter()
        .filter_map(move |(state, kept_ms)| Some((state, now.minus_ms(kept_ms?))))
    }
}

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        let pause = match clear(&shared).await {
            Ok(()) => LOOK,
            Err(error) => {
                error!(%error, "what ended long ago could not be deleted; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn clear(shared: &Shared) -> Result<(), StoreError> {
    let parts = &shared.parts;
    let now = parts.clock.now();
    for (state, until) in shared.config.retention.ends(now) {
        let deleted = all(shared, || parts.store.retire(state, until, BATCH)).await?;
        if deleted > 0 {
            let state = state.as_str();
            info!(deleted, state, "{deleted} jobs that were {state} since long ago are deleted");
        }
    }
    let until = now.minus_ms(FIRES_KEPT_MS);
    all(shared, || parts.schedules.forget_fires(until, BATCH)).await?;
    Ok(())
}

/// Deletes batch after batch; between two of them, the writer serves others. Returns the sum.
async fn all<F>(shared: &Shared, batch: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<u32, StoreError>>,
{
    let mut sum = 0;
    loop {
        let deleted = batch().await?;
        sum += u64::from(deleted);
        if deleted < BATCH || shared.stopping.is_cancelled() {
            return Ok(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_own_limit_and_none_is_for_ever() {
        let now = Millis(20 * 86_400_000);
        let ends = |retention: Retention| retention.ends(now).collect::<Vec<_>>();
        let week = Millis(13 * 86_400_000);
        let all = [
            (State::Done, week),
            (State::Failed, Millis(6 * 86_400_000)),
            (State::Cancelled, week),
        ];
        assert_eq!(ends(Retention::default()), all);
        let some = Retention { done_ms: None, failed_ms: Some(u64::MAX), cancelled_ms: Some(0) };
        let beginning = now.minus_ms(u64::MAX);
        assert_eq!(ends(some), [(State::Failed, beginning), (State::Cancelled, now)]);
    }
}
