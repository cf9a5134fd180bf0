//! What the end of a job means for the jobs that wait for it.

use roughneck_jobs::{clock::Millis, flow::need, lifecycle::Event, state::State, step::Step};
use serde_json::Value;
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    fault::Fault, lineage, moved::Moved, row::Held, transaction::Transaction, transition,
    write::set_aside,
};

/// A job that is over and that others may wait for.
pub(crate) struct Over {
    pub(crate) id: String,
    /// Its name in its flow, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) is_child: bool,
    pub(crate) state: State,
    pub(crate) at: Millis,
}

impl Over {
    /// None if the job goes on, or is neither of a flow nor a child.
    pub(crate) fn of(Moved { job, step, depth, .. }: &Moved) -> Option<Self> {
        let name = job.member.as_ref().map(|member| member.name.clone());
        let is_child = *depth > 0;
        let is_over = job.state.is_terminal() && (is_child || name.is_some());
        let (id, state, at) = (job.id, job.state, step.at);
        is_over.then(|| Self { id: id.to_string(), name, is_child, state, at })
    }

    /// A job that was set aside; the same of it.
    pub(crate) fn aside(row: &SqliteRow, at: Millis) -> Result<Option<Self>, sqlx::Error> {
        let name: Option<String> = row.try_get("name")?;
        let is_child = row.try_get::<u32, _>("depth")? > 0;
        let (id, state) = (row.try_get("id")?, State::Failed);
        let over = Self { id, name, is_child, state, at };
        Ok(Some(over).filter(|over| over.is_child || over.name.is_some()))
    }
}

/// Releases or fails the jobs that need those that are over, and wakes the parents that waited for them, in
/// the transaction in which these ended. A failure goes on to those that need the failed ones, and all of
/// them take the same few statements: a chain of any length must not hold up the writer.
pub(crate) async fn follow(tx: &mut Transaction<'_>, over: Vec<Over>) -> Result<(), Fault> {
    let mut left = over;
    while let Some(at) = left.last().map(|over| over.at) {
        let mut aside = lineage::wake_above(tx, &left, at).await?;
        let mut ended = Vec::with_capacity(left.len());
        for over in left {
            let Some(name) = &over.name else { continue };
            if over.state != State::Done {
                ended.extend(fail(tx, &over, name).await?);
            }
            ended.push(over.id);
        }
        if !ended.is_empty() {
            aside.extend(release(tx, ended, at).await?);
        }
        // Only rows that cannot be read end by being released or woken.
        left = aside;
    }
    Ok(())
}

/// Fails the jobs that fail because of `over`, and returns their ids.
async fn fail(tx: &mut Transaction<'_>, over: &Over, name: &str) -> Result<Vec<String>, Fault> {
    let rows = sqlx::query(sql!("job/list_doomed"))
        .bind(&over.id)
        .fetch_all(tx.connection().await?)
        .await?;
    let (mut ids, mut moved) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        ids.push(row.try_get("id")?);
        match Held::read(row) {
            Ok(held) => {
                let needed: String = row.try_get("needed")?;
                let is_indirect: bool = row.try_get("is_indirect")?;
                let root = is_indirect.then_some(name);
                let failure = need::broken(&needed, Some(over.state), root);
                moved.push(Moved::by(
                    Step::failed(Event::DependencyFailed, over.at, failure),
                    held,
                )?);
            }
            // Those that need it are among the rows.
            Err(error) => set_aside::row(tx, row, over.at, &error).await?,
        }
    }
    transition::write_alone(tx, &moved).await?;
    Ok(ids)
}

/// Counts the jobs that have ended down, and lets those go that wait for no other one. Returns the
/// ones that had to be set aside instead.
async fn release(
    tx: &mut Transaction<'_>,
    ended: Vec<String>,
    at: Millis,
) -> Result<Vec<Over>, Fault> {
    let rows = sqlx::query(sql!("job/release"))
        .bind(Value::from(ended).to_string())
        .fetch_all(tx.connection().await?)
        .await?;
    let (mut moved, mut over) = (Vec::new(), Vec::new());
    for row in &rows {
        if row.try_get::<u32, _>("waits")? > 0 {
            continue;
        }
        match Held::read(row) {
            Ok(held) => moved.push(Moved::by(unblocked(&held, at), held)?),
            Err(error) => {
                set_aside::row(tx, row, at, &error).await?;
                over.extend(Over::aside(row, at)?);
            }
        }
    }
    transition::write_alone(tx, &moved).await?;
    Ok(over)
}

/// The step of a job that waits for nothing but, perhaps, its time.
pub(crate) fn unblocked(held: &Held, at: Millis) -> Step {
    Step::new(Event::Unblocked { delay_ms: held.job.run_at.since_ms(at) }, at)
}
