//! One attempt, from the claim to the verdict, acknowledged in one place.

use std::{pin::Pin, sync::Arc};

use roughneck_jobs::{
    causes::Causes,
    clock::Millis,
    deadline,
    failure::{Failure, code},
    id::JobId,
    job::LogLine,
    ports::{
        runner::{Assignment, Outcome, Standing},
        store::{Claimed, Finish, StoreError, Verdict},
    },
    retry::{self, Backoff, Next, RetryPolicy, delay_ms},
    run::Run,
    state::State,
    usage::Usage,
};
use tracing::{debug, error, info, warn};

use crate::{
    dispatcher, needs,
    pause::AFTER_ERROR,
    record::{Left, Record},
    relatives::Kin,
    runs::Entered,
    shared::Shared,
};

/// The first wait of a job that could not run for a reason that is not its own, and the longest.
/// Jobs for a missing Ollama are held by the dispatcher as well, until the lane is back.
const POSTPONED: Backoff = Backoff::Exponential { base_ms: 2_000, cap_ms: 300_000 };

/// The same for a job whose kind no plugin serves: that takes an operator.
const KIND_MISSING: Backoff = Backoff::Exponential { base_ms: 60_000, cap_ms: 3_600_000 };

/// On the heap, because an attempt begins those that follow it.
pub(crate) fn make(
    shared: Arc<Shared>,
    claimed: Claimed,
    entered: Entered,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let record = entered.record();
        let (kind, deadline) = (claimed.job.kind.clone(), claimed.job.deadline);
        let class = claimed.job.class.clone();
        match execute(&shared, claimed, record).await {
            Ended::Judged(verdict, plugin) => {
                let at = shared.parts.clock.now();
                hear(&shared, &kind, &verdict).await;
                let verdict = deadline::bound(verdict, deadline, at);
                let end = ending(record, verdict, plugin, at);
                // In this order, so that the claim finds the slot that the end frees.
                tokio::join!(
                    biased;
                    finish(&shared, record, end),
                    dispatcher::go_on(&shared, &class)
                );
            }
            Ended::Aborted(standing) => abandon(&shared, record, standing).await,
        }
    })
}

enum Ended {
    /// There is a verdict to keep, and the digest of the plugin that ran.
    Judged(Verdict, Option<String>),
    /// The run was stopped from outside.
    Aborted(Standing),
}

async fn execute(shared: &Arc<Shared>, claimed: Claimed, record: &Arc<Record>) -> Ended {
    let Claimed { mut job, run, postponements } = claimed;
    let Some(served) = shared.parts.catalog.served(&job.kind) else {
        let message = format!("no installed plugin serves the kind `{}`", job.kind);
        let failure = Failure::retry(code::KIND_MISSING, message);
        let delay_ms = delay_ms(&KIND_MISSING, postponements.saturating_add(1));
        return Ended::Judged(Verdict::Postpone { delay_ms, failure }, None);
    };
    let chance =
        Chance { attempt: job.attempt, postponements, roll: shared.parts.entropy.fraction() };
    let digest = Some(served.plugin.digest.clone());
    let needs = match needs::fill(shared, &mut job).await {
        Ok(needs) => needs,
        Err(outcome) => {
            return Ended::Judged(judge(outcome, &served.kind.retry, &chance), digest);
        }
    };
    let timeout = shared.parts.clock.now().plus_ms(served.kind.timeout_ms);
    let last = job.failure.clone();
    let assignment = Assignment {
        deadline: job.deadline.map_or(timeout, |deadline| deadline.min(timeout)),
        served: Arc::clone(&served),
        relatives: Kin::new(shared, run, &job),
        job,
        needs,
        run,
    };
    let supervisor = Arc::clone(record);
    tokio::select! {
        biased;
        standing = record.aborted() => Ended::Aborted(standing),
        outcome = shared.parts.runner.run(assignment, supervisor) => {
            // It was stopped because it had lost its job, which is no failure of the plugin's.
            if matches!(outcome, Outcome::Failed(_)) && record.is_fenced() {
                return Ended::Aborted(Standing::Fenced);
            }
            let verdict = judge(outcome, &served.kind.retry, &chance);
            Ended::Judged(verdict, digest)
        }
        // The sweeper would stop it as well. This does not wait for the store, nor for a host that stops.
        at = record.overdue() => {
            let failure = deadline::passed(State::Working, at, last.as_ref());
            Ended::Judged(Verdict::Fail { failure }, digest)
        }
    }
}

/// Pauses the kind if it does nothing but fail. Before the end of the run is kept: the next claim sees
/// it.
async fn hear(shared: &Shared, kind: &str, verdict: &Verdict) {
    let Some(breaker) = &shared.config.breaker else { return };
    let now = shared.parts.clock.now();
    let Some(pause) = shared.breakers.hear(breaker, kind, verdict, now) else { return };
    warn!(kind, "the kind {kind} is paused: {}", pause.reason);
    if let Err(error) = shared.parts.store.pause(pause).await {
        error!(kind, error = %Causes(&error), "the kind {kind} could not be paused");
    }
}

/// What a verdict depends on besides the outcome.
struct Chance {
    /// The attempt that ended; the first is 1.
    attempt: u32,
    /// Runs of the job before this one that were no attempts.
    postponements: u32,
    /// The dice of the jitter.
    roll: f64,
}

/// What follows from an outcome.
fn judge(outcome: Outcome, policy: &RetryPolicy, chance: &Chance) -> Verdict {
    match outcome {
        Outcome::Done { output } => Verdict::Done { output },
        Outcome::Awaits(children) => Verdict::Await { children },
        Outcome::Postponed(failure) => {
            let planned_ms = || delay_ms(&POSTPONED, chance.postponements.saturating_add(1));
            let delay_ms = failure.retry_after_ms.unwrap_or_else(planned_ms);
            Verdict::Postpone { delay_ms, failure }
        }
        Outcome::Failed(failure) => {
            match retry::decide(policy, &failure, chance.attempt, chance.roll) {
                Next::After { delay_ms } => Verdict::Retry { delay_ms, failure },
                Next::GiveUp => Verdict::Fail { failure },
                Next::Cancel => Verdict::Cancel { failure },
            }
        }
    }
}

/// The end of a run, with what it leaves.
pub(crate) fn ending(
    record: &Record,
    verdict: Verdict,
    plugin: Option<String>,
    at: Millis,
) -> Finish {
    let Left { usage, log, notices } = record.take();
    Finish { verdict, at, plugin, usage, log, notices }
}

/// Keeps the verdict. A store that fails for a moment is asked again for as long as the run holds
/// its job, because the work is done and paid for.
pub(crate) async fn finish(shared: &Shared, record: &Record, finish: Finish) {
    let run = record.run();
    loop {
        match shared.parts.store.finish(run, finish.clone()).await {
            Ok(state) => return report(shared, run.job, state, &finish.verdict),
            Err(StoreError::Fenced) => {
                debug!(job = %run.job, "the run of job {} ended after it had lost it", run.job);
                return leave(shared, run, finish.usage, finish.log).await;
            }
            Err(error @ (StoreError::Broken { .. } | StoreError::DiskFull { .. })) => {
                error!(job = %run.job, error = %Causes(&error), "the end of job {} could not be kept; trying again", run.job);
                tokio::select! {
                    standing = record.aborted() => {
                        return abandon(shared, record, standing).await;
                    }
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                }
            }
            Err(
                error @ (StoreError::Refused(_)
                | StoreError::NoSuchJob(_)
                | StoreError::Full(_)
                | StoreError::NoSuchFlow(_)
                | StoreError::JobExists(_)
                | StoreError::Closed
                | StoreError::Dead),
            ) => {
                error!(job = %run.job, error = %Causes(&error), "the end of job {} could not be kept", run.job);
                return;
            }
        }
    }
}

/// Counts an end that is kept, and tells the operator.
pub(crate) fn report(shared: &Shared, job: JobId, state: State, verdict: &Verdict) {
    shared.parts.metrics.ended(verdict);
    match verdict {
        Verdict::Done { .. } => info!(%job, "job {job} is done"),
        Verdict::Await { children } => {
            let of = children.len();
            info!(%job, "job {job} is {}, for {of} children", state.as_str());
        }
        Verdict::Retry { failure, .. }
        | Verdict::Fail { failure }
        | Verdict::Postpone { failure, .. }
        | Verdict::Cancel { failure } => info!(
            %job,
            code = failure.code,
            "job {job} is {}: {}", state.as_str(), failure.message
        ),
    }
}

/// Ends a run that was stopped from outside, and keeps what it cost.
pub(crate) async fn abandon(shared: &Shared, record: &Record, standing: Standing) {
    shared.parts.metrics.aborted(standing);
    let (run, store) = (record.run(), &shared.parts.store);
    match standing {
        // The store knows: it wrote the end, gave the job to another run, or will when the lease ends, which nobody renews.
        Standing::Cancelled | Standing::Fenced | Standing::Overdue => {}
        Standing::Stopping | Standing::Held => {
            if let Err(error) = store.release(run, shared.parts.clock.now()).await {
                error!(job = %run.job, error = %Causes(&error), "job {} could not be given back; it will be when the host starts", run.job);
            }
        }
    }
    let left = record.take();
    leave(shared, run, left.usage, left.log).await;
}

/// Keeps what a run has cost and logged whose end is not its own.
async fn leave(shared: &Shared, run: Run, usage: Usage, log: Vec<LogLine>) {
    if let Err(error) = shared.parts.store.leave(run, usage, log).await {
        error!(job = %run.job, error = %Causes(&error), "the cost and the log of a run of job {} were not kept", run.job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(postponements: u32) -> Chance {
        Chance { attempt: 1, postponements, roll: 0.0 }
    }

    #[test]
    fn a_postponement_waits_longer_each_time_up_to_five_minutes() {
        let delay = |postponements| {
            let outcome = Outcome::Postponed(Failure::retry(code::OLLAMA_UNAVAILABLE, "down"));
            match judge(outcome, &RetryPolicy::default(), &chance(postponements)) {
                Verdict::Postpone { delay_ms, .. } => delay_ms,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([0, 1, 2, 20, u32::MAX].map(delay), [2_000, 4_000, 8_000, 300_000, 300_000]);
    }
}
