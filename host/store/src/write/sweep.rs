//! The same move for many jobs, each on its own.

use roughneck_jobs::{
    clock::Millis, id::JobId, lifecycle::Event, ports::store::StoreError, run::Run, state::State,
    step::Step,
};

use crate::{fault::Fault, transaction::Transaction, transition};

/// A job that cannot be moved is looked at again after this time.
const LOOK_AGAIN_MS: u64 = 60_000;

/// What is to happen to each job.
pub(super) struct Sweep {
    pub(super) event: Event,
    pub(super) at: Millis,
    /// Why, for people.
    pub(super) reason: Option<&'static str>,
    /// The statement that puts a job behind the others, until ?2.
    pub(super) push: &'static str,
}

/// A job that was moved.
pub(super) struct Swept {
    /// Its present or last run.
    pub(super) run: Run,
    pub(super) from: State,
}

/// Moves the jobs with these ids, but for those that have ended by the move of another one. One that cannot be moved,
/// as a rule because its row cannot be read, must not keep the others from it: it is logged and pushed out of the way,
/// for good where that is its deadline.
pub(super) async fn jobs(
    tx: &mut Transaction<'_>,
    ids: Vec<String>,
    sweep: &Sweep,
) -> Result<Vec<Swept>, Fault> {
    let mut moved = Vec::with_capacity(ids.len());
    for id in ids {
        let part = tx.save().await?;
        let result = one(tx, &id, sweep).await;
        tx.end(part, result.is_ok()).await?;
        match result {
            Ok(swept) => moved.extend(swept),
            Err(fault) => push(tx, &id, sweep, &fault).await?,
        }
    }
    Ok(moved)
}

async fn one(tx: &mut Transaction<'_>, id: &str, sweep: &Sweep) -> Result<Option<Swept>, Fault> {
    let id: JobId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let held = super::job(tx, id).await?.ok_or(StoreError::NoSuchJob(id))?;
    let swept = Swept { run: held.run(), from: held.job.state };
    if swept.from.is_terminal() {
        return Ok(None);
    }
    let reason = sweep.reason.map(str::to_owned);
    let step = Step { reason, ..Step::new(sweep.event, sweep.at) };
    transition::make(tx, held, step).await?;
    Ok(Some(swept))
}

async fn push(
    tx: &mut Transaction<'_>,
    id: &str,
    sweep: &Sweep,
    fault: &Fault,
) -> Result<(), Fault> {
    tracing::error!(job = %id, event = ?sweep.event, error = ?fault, "job {id} cannot be moved; trying again in a minute");
    sqlx::query(sweep.push)
        .bind(id)
        .bind(sweep.at.plus_ms(LOOK_AGAIN_MS).0)
        .execute(tx.connection().await?)
        .await?;
    Ok(())
}
