//! The fires of schedules.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::NewJob,
    ports::{
        schedules::{Settled, Settlement},
        store::Submitted,
    },
    schedule::{Fire, Overlap},
};

use crate::{
    fault::{Fault, one_row},
    transaction::Transaction,
};

/// What became of one fire.
enum Fate {
    /// Its job is submitted.
    Ran,
    /// It is dropped: an earlier job of the schedule has not ended, or another one has its unique key.
    Skipped,
    /// It was handled before.
    Known,
}

/// Submits the jobs of fires that were not handled before and do not overlap.
pub(crate) async fn fires(
    tx: &mut Transaction<'_>,
    settlement: &Settlement,
) -> Result<Settled, Fault> {
    if !is_current(tx, settlement).await? {
        return Ok(Settled::Stale);
    }
    let (mut submitted, mut skipped, mut last_fire) = (Vec::new(), 0_i64, None);
    for job in &settlement.jobs {
        match fire(tx, settlement, job).await? {
            Fate::Ran => {
                submitted.push(job.id);
                let at = job.fire.as_ref().and_then(|fire| fire.at);
                last_fire = at.map(|at| (at, job.id)).or(last_fire);
            }
            Fate::Skipped => skipped += 1,
            Fate::Known => {}
        }
    }
    if last_fire.is_some() || skipped > 0 {
        record(tx, &settlement.schedule, last_fire, skipped).await?;
    }
    Ok(Settled::Submitted(submitted))
}

/// Forgets fires of `until` or earlier, and returns how many.
pub(crate) async fn forget(
    tx: &mut Transaction<'_>,
    until: Millis,
    limit: u32,
) -> Result<u32, Fault> {
    let forgotten = sqlx::query(sql!("fire/forget"))
        .bind(until.0)
        .bind(limit)
        .execute(tx.connection().await?)
        .await?;
    Ok(u32::try_from(forgotten.rows_affected()).unwrap_or(u32::MAX))
}

/// Whether the schedule is still as it was when it was read; then its fires are handled.
async fn is_current(tx: &mut Transaction<'_>, settlement: &Settlement) -> Result<bool, Fault> {
    let settled = sqlx::query(sql!("schedule/settle"))
        .bind(&settlement.schedule)
        .bind(settlement.revision)
        .bind(settlement.up_to.0)
        .bind(settlement.missed)
        .execute(tx.connection().await?)
        .await?;
    Ok(settled.rows_affected() == 1)
}

async fn fire(
    tx: &mut Transaction<'_>,
    settlement: &Settlement,
    job: &NewJob,
) -> Result<Fate, Fault> {
    // A job that names no instant has nothing that could run twice.
    let Some(Fire { schedule, at: Some(at) }) = &job.fire else { return submit(tx, job).await };
    let inserted = sqlx::query(sql!("fire/insert"))
        .bind(schedule)
        .bind(at.0)
        .execute(tx.connection().await?)
        .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Fate::Known);
    }
    match settlement.overlap {
        Overlap::Queue => {}
        Overlap::Skip => {
            let is_open: bool = sqlx::query_scalar(sql!("job/is_open_of_schedule"))
                .bind(&settlement.schedule)
                .fetch_one(tx.connection().await?)
                .await?;
            if is_open {
                return Ok(Fate::Skipped);
            }
        }
    }
    submit(tx, job).await
}

async fn submit(tx: &mut Transaction<'_>, job: &NewJob) -> Result<Fate, Fault> {
    match super::submit::one(tx, job).await? {
        Submitted::Created(_) => {}
        Submitted::Existing(_) => return Ok(Fate::Skipped),
    }
    if let Some(Fire { schedule, at: Some(at) }) = &job.fire {
        let answered = sqlx::query(sql!("fire/answer"))
            .bind(schedule)
            .bind(at.0)
            .bind(job.id.to_string())
            .execute(tx.connection().await?)
            .await?;
        one_row("fire", answered.rows_affected())?;
    }
    Ok(Fate::Ran)
}

async fn record(
    tx: &mut Transaction<'_>,
    schedule: &str,
    last_fire: Option<(Millis, JobId)>,
    skipped: i64,
) -> Result<(), Fault> {
    let recorded = sqlx::query(sql!("schedule/record"))
        .bind(schedule)
        .bind(last_fire.map(|(at, _)| at.0))
        .bind(last_fire.map(|(_, job)| job.to_string()))
        .bind(skipped)
        .execute(tx.connection().await?)
        .await?;
    one_row("schedule", recorded.rows_affected())
}
