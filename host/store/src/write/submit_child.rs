//! Accepting a child of a job that runs.

use roughneck_jobs::{
    child::{Known, NewChild, SubmittedChild, lives_again},
    lifecycle::Event,
    ports::store::{StoreError, Submitted},
    run::Run,
    step::Step,
};
use sqlx::Row as _;

use super::submit;
use crate::{
    fault::{Fault, one_row},
    row::Held,
    transaction::Transaction,
    transition,
};

/// Accepts a child, or finds the one of this name, which may begin another life.
pub(crate) async fn one(
    tx: &mut Transaction<'_>,
    run: Run,
    child: &NewChild,
) -> Result<SubmittedChild, Fault> {
    let parent = super::held_by(tx, run).await?.ok_or(StoreError::Fenced)?;
    if let Some(known) = again(tx, &parent, child).await? {
        return Ok(known);
    }
    let depth = parent.depth.saturating_add(1);
    if depth > child.depth_max {
        return Ok(SubmittedChild::TooDeep(depth));
    }
    match submit::one(tx, &child.job).await? {
        Submitted::Existing(other) => Ok(SubmittedChild::Taken(other)),
        Submitted::Created(id) => {
            let adopted = sqlx::query(sql!("job/adopt"))
                .bind(id.to_string())
                .bind(run.job.to_string())
                .bind(run.token)
                .bind(&child.name)
                .bind(depth)
                .execute(tx.connection().await?)
                .await?;
            one_row("job", adopted.rows_affected())?;
            Ok(SubmittedChild::Created(id))
        }
    }
}

/// The child of this name, if there is one.
async fn again(
    tx: &mut Transaction<'_>,
    parent: &Held,
    child: &NewChild,
) -> Result<Option<SubmittedChild>, Fault> {
    let row = sqlx::query(sql!("job/read_child_to_move"))
        .bind(parent.job.id.to_string())
        .bind(&child.name)
        .fetch_optional(tx.connection().await?)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let held = Held::read(&row)?;
    let id = held.job.id;
    let known = Known { progress: held.progress(), submitted_by: row.try_get("submitted_by")? };
    if !lives_again(&known, parent.retry_token) {
        return Ok(Some(SubmittedChild::Existing(id)));
    }
    let step = Step::because(Event::Retried, child.job.enqueued_at, "retried with its parent");
    transition::make(tx, held, step).await?;
    let given = sqlx::query(sql!("job/set_submitted_by"))
        .bind(id.to_string())
        .bind(parent.token)
        .execute(tx.connection().await?)
        .await?;
    one_row("job", given.rows_affected())?;
    Ok(Some(SubmittedChild::Retried(id)))
}
