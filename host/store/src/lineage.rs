//! What a move means for the children of a job, and for its parent.

use roughneck_jobs::{clock::Millis, id::JobId, lifecycle::Event, state::State, step::Step};
use serde_json::Value;
use sqlx::Row as _;

use crate::{
    dependents::{Over, unblocked},
    fault::Fault,
    moved::Moved,
    row::Held,
    transaction::Transaction,
    transition,
    write::set_aside,
};

/// Counts the children that have ended down, and queues the parents again that wait for no other one.
/// Returns those that had to be set aside instead.
pub(crate) async fn wake_above(
    tx: &mut Transaction<'_>,
    over: &[Over],
    at: Millis,
) -> Result<Vec<Over>, Fault> {
    let children: Value =
        over.iter().filter(|one| one.is_child).map(|one| Value::from(&*one.id)).collect();
    if children == Value::Array(Vec::new()) {
        return Ok(Vec::new());
    }
    let parents: Vec<String> = sqlx::query_scalar(sql!("job/end_wait"))
        .bind(children.to_string())
        .fetch_all(tx.connection().await?)
        .await?;
    if parents.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql!("job/wake_parents"))
        .bind(Value::from(parents).to_string())
        .fetch_all(tx.connection().await?)
        .await?;
    let (mut moved, mut aside) = (Vec::new(), Vec::new());
    for row in &rows {
        if row.try_get::<u32, _>("awaits")? > 0 {
            continue;
        }
        match Held::read(row) {
            Ok(held) => moved.push(Moved::by(unblocked(&held, at), held)?),
            Err(error) => {
                set_aside::row(tx, row, at, &error).await?;
                aside.extend(Over::aside(row, at)?);
            }
        }
    }
    transition::write_alone(tx, &moved).await?;
    Ok(aside)
}

/// Cancels the children, which are not over, of jobs that were cancelled, and theirs.
pub(crate) async fn cancel_below(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    let cancelled = moved.iter().filter(|one| one.job.state == State::Cancelled);
    let (ids, instants): (Vec<Value>, Vec<Millis>) =
        cancelled.map(|one| (Value::from(one.job.id.to_string()), one.step.at)).unzip();
    let Some(at) = instants.into_iter().max() else { return Ok(()) };
    let rows = sqlx::query(sql!("job/list_open_descendants"))
        .bind(Value::from(ids).to_string())
        .fetch_all(tx.connection().await?)
        .await?;
    let mut below = Vec::with_capacity(rows.len());
    for row in &rows {
        match Held::read(row) {
            Ok(held) => {
                if held.job.state.is_running() {
                    tx.bells.runs();
                }
                let reason = "cancelled with the job that submitted it";
                below.push(Moved::by(Step::because(Event::Cancelled, at, reason), held)?);
            }
            Err(error) => {
                let id: String = row.try_get("id")?;
                tracing::error!(job = %id, %error, "job {id} cannot be read, so it is not cancelled with its parent");
            }
        }
    }
    transition::write_alone(tx, &below).await
}

/// Makes a job wait for those of its `children` that are not over, and for no other one. Returns how many.
pub(crate) async fn wait_for(
    tx: &mut Transaction<'_>,
    parent: JobId,
    children: &[JobId],
) -> Result<u32, Fault> {
    let children: Value = children.iter().map(|child| Value::from(child.to_string())).collect();
    sqlx::query(sql!("job/wait_for"))
        .bind(parent.to_string())
        .bind(children.to_string())
        .execute(tx.connection().await?)
        .await?;
    awaited(tx, parent).await
}

/// How many of its children a job waits for, if it is blocked.
pub(crate) async fn awaited(tx: &mut Transaction<'_>, parent: JobId) -> Result<u32, Fault> {
    let open = sqlx::query_scalar(sql!("job/count_awaited"))
        .bind(parent.to_string())
        .fetch_one(tx.connection().await?)
        .await?;
    Ok(open)
}
