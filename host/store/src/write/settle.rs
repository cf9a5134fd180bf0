//! The fires of schedules.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::NewJob,
    ports::{schedules::Settlement, store::Submitted},
    schedule::{Fire, Overlap},
};

use crate::{
    fault::{Fault, one_row},
    transaction::Transaction,
};

/// The instant up to which the fires of a schedule are handled; `now` if it was never seen.
pub(crate) async fn remember(
    tx: &mut Transaction<'_>,
    schedule: &str,
    now: Millis,
) -> Result<Millis, Fault> {
    let handled_up_to = sqlx::query_scalar(sql!("schedule/remember"))
        .bind(schedule)
        .bind(now.0)
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(Millis(handled_up_to))
}

/// Submits the jobs of fires that were not handled before and do not overlap. Returns these.
pub(crate) async fn fires(
    tx: &mut Transaction<'_>,
    settlement: &Settlement,
) -> Result<Vec<JobId>, Fault> {
    let mut submitted = Vec::new();
    for job in &settlement.jobs {
        // A caller that names no fire has nothing that could run twice.
        let runs = match &job.fire {
            Some(fire) => is_new(tx, fire).await? && is_free(tx, settlement).await?,
            None => true,
        };
        if runs && submit(tx, job).await? {
            submitted.push(job.id);
        }
    }
    sqlx::query(sql!("schedule/advance"))
        .bind(&settlement.schedule)
        .bind(settlement.up_to.0)
        .execute(&mut *tx.connection)
        .await?;
    Ok(submitted)
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
        .execute(&mut *tx.connection)
        .await?;
    Ok(u32::try_from(forgotten.rows_affected()).unwrap_or(u32::MAX))
}

async fn is_new(tx: &mut Transaction<'_>, fire: &Fire) -> Result<bool, Fault> {
    let inserted = sqlx::query(sql!("fire/insert"))
        .bind(&fire.schedule)
        .bind(fire.at.0)
        .execute(&mut *tx.connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn is_free(tx: &mut Transaction<'_>, settlement: &Settlement) -> Result<bool, Fault> {
    match settlement.overlap {
        Overlap::Queue => Ok(true),
        Overlap::Skip => {
            let open: bool = sqlx::query_scalar(sql!("job/is_open_of_schedule"))
                .bind(&settlement.schedule)
                .fetch_one(&mut *tx.connection)
                .await?;
            Ok(!open)
        }
    }
}

async fn submit(tx: &mut Transaction<'_>, job: &NewJob) -> Result<bool, Fault> {
    if super::submit::one(tx, job).await? == Submitted::Existing(job.id) {
        return Ok(false);
    }
    if let Some(fire) = &job.fire {
        let answered = sqlx::query(sql!("fire/answer"))
            .bind(&fire.schedule)
            .bind(fire.at.0)
            .bind(job.id.to_string())
            .execute(&mut *tx.connection)
            .await?;
        one_row("fire", answered.rows_affected())?;
    }
    Ok(true)
}
