//! One attempt, from the claim to the verdict, acknowledged in one place.

use std::sync::Arc;

use roughneck_jobs::{
    failure::{Failure, code},
    ports::{
        bell::{Bell, Change},
        catalog::Served,
        runner::{Assignment, Outcome, Standing},
        store::{Claimed, Finish, StoreError, Verdict},
    },
    retry::{self, Next},
    run::Run,
    state::State,
};
use tracing::{debug, error, info};

use crate::{pause::AFTER_ERROR, record::Record, start::Shared};

/// How long a job waits that could not run for a reason that is not its own. For a missing Ollama
/// this is the shortest wait; after it the job is queued and the dispatcher holds it until the
/// lane is back.
const POSTPONED_MS: u64 = 2_000;

/// How long a job waits whose kind no plugin serves.
const KIND_MISSING_MS: u64 = 60_000;

pub(crate) async fn make(shared: Arc<Shared>, claimed: Claimed) {
    let record = Record::new(&claimed, &shared);
    let class = claimed.job.class.clone();
    let run = claimed.run;
    {
        let _entered = shared.runs.enter(Arc::clone(&record));
        match execute(&shared, claimed, &record).await {
            Ended::Judged(verdict, plugin) => finish(&shared, &record, verdict, plugin).await,
            Ended::Aborted(standing) => abandon(&shared, run, standing).await,
        }
    }
    shared.parts.bells.ring(Change::Job(run.job));
    shared.parts.bells.ring(Change::Class(class));
}

enum Ended {
    /// There is a verdict to keep, and the digest of the plugin that ran.
    Judged(Verdict, Option<String>),
    /// The run was stopped from outside.
    Aborted(Standing),
}

async fn execute(shared: &Shared, claimed: Claimed, record: &Arc<Record>) -> Ended {
    let Claimed { job, run } = claimed;
    let Some(served) = shared.parts.catalog.served(&job.kind) else {
        let message = format!("no installed plugin serves the kind `{}`", job.kind);
        let failure = Failure::retry(code::KIND_MISSING, message);
        return Ended::Judged(Verdict::Postpone { delay_ms: KIND_MISSING_MS, failure }, None);
    };
    let attempt = job.attempt;
    let assignment = Assignment {
        deadline: shared.parts.clock.now().plus_ms(served.kind.timeout_ms),
        served: Arc::clone(&served),
        job,
        run,
    };
    let supervisor = Arc::clone(record);
    tokio::select! {
        biased;
        standing = record.aborted() => Ended::Aborted(standing),
        outcome = shared.parts.runner.run(assignment, supervisor) => {
            let verdict = judge(outcome, &served, attempt, shared.parts.entropy.fraction());
            Ended::Judged(verdict, Some(served.plugin.digest.clone()))
        }
    }
}

/// What follows from an outcome. `roll` is the dice of the jitter.
fn judge(outcome: Outcome, served: &Served, attempt: u32, roll: f64) -> Verdict {
    match outcome {
        Outcome::Done { output } => Verdict::Done { output },
        Outcome::Postponed(failure) => Verdict::Postpone { delay_ms: POSTPONED_MS, failure },
        Outcome::Failed(failure) => {
            match retry::decide(&served.kind.retry, &failure, attempt, roll) {
                Next::After { delay_ms } => Verdict::Retry { delay_ms, failure },
                Next::GiveUp => Verdict::Fail { failure },
                Next::Cancel => Verdict::Cancel { failure },
            }
        }
    }
}

/// Keeps the verdict. A store that fails for a moment is asked again for as long as the run holds
/// its job, because the work is done and paid for.
async fn finish(shared: &Shared, record: &Record, verdict: Verdict, plugin: Option<String>) {
    let left = record.take();
    let run = record.run();
    let finish = Finish {
        verdict,
        at: shared.parts.clock.now(),
        plugin,
        usage: left.usage,
        log: left.log,
        notices: left.notices,
    };
    loop {
        match shared.parts.store.finish(run, finish.clone()).await {
            Ok(state) => return report(shared, run, state, &finish.verdict),
            Err(StoreError::Fenced) => {
                debug!(job = %run.job, "the run of job {} ended after it had lost it", run.job);
                return;
            }
            Err(error @ StoreError::Broken { .. }) => {
                error!(job = %run.job, %error, "the end of job {} could not be kept; trying again", run.job);
                tokio::select! {
                    _ = record.aborted() => return,
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                }
            }
            Err(
                error @ (StoreError::Refused(_) | StoreError::NoSuchJob(_) | StoreError::Closed),
            ) => {
                error!(job = %run.job, %error, "the end of job {} could not be kept", run.job);
                return;
            }
        }
    }
}

fn report(shared: &Shared, run: Run, state: State, verdict: &Verdict) {
    shared.parts.metrics.ended(verdict);
    match verdict {
        Verdict::Done { .. } => info!(job = %run.job, "job {} is done", run.job),
        Verdict::Retry { failure, .. }
        | Verdict::Fail { failure }
        | Verdict::Postpone { failure, .. }
        | Verdict::Cancel { failure } => info!(
            job = %run.job,
            code = failure.code,
            "job {} is {}: {}", run.job, state.as_str(), failure.message
        ),
    }
}

/// Ends a run that was stopped from outside.
async fn abandon(shared: &Shared, run: Run, standing: Standing) {
    shared.parts.metrics.aborted(standing);
    match standing {
        // The store knows: it wrote the cancellation, or gave the job to another run.
        Standing::Cancelled | Standing::Fenced => {}
        Standing::Stopping | Standing::Held => {
            if let Err(error) = shared.parts.store.release(run, shared.parts.clock.now()).await {
                error!(job = %run.job, %error, "job {} could not be given back; it will be when the host starts", run.job);
            }
        }
    }
}
