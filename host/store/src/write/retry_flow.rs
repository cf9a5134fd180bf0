//! Running jobs of flows again. Which ones come back is [`roughneck_jobs::flow::retry`]'s to say.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    clock::Millis,
    flow::{
        Need,
        retry::{Known, Retry, retry},
    },
    id::{FlowId, JobId},
    lifecycle::Event,
    ports::{flows::RetriedFlow, store::StoreError},
    state::State,
    step::Step,
};
use serde_json::{Value, json};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    fault::{Fault, rows},
    moved::Moved,
    row::{self, Held},
    transaction::Transaction,
    transition,
};

/// Runs all jobs of a flow again that have failed or were cancelled.
pub(crate) async fn flow(
    tx: &mut Transaction<'_>,
    id: FlowId,
    at: Millis,
) -> Result<RetriedFlow, Fault> {
    if !super::is_flow(tx, id).await? {
        return Err(StoreError::NoSuchFlow(id).into());
    }
    let flow = Flow::read(tx, id).await?;
    let is_wanted = |known: &&Known| matches!(known.state, State::Failed | State::Cancelled);
    let wanted = flow.known.iter().filter(is_wanted).map(|known| known.job).collect();
    let retry = flow.retry(tx, &wanted, at).await?;
    let count = |jobs: usize| u32::try_from(jobs).unwrap_or(u32::MAX);
    Ok(RetriedFlow { jobs: count(retry.back.len()), held_back: count(retry.held_back.len()) })
}

/// A retry that was made, and what it cost to decide it.
pub(super) struct Made {
    pub(super) retry: Retry,
    pub(super) rows_read: usize,
}

/// Runs jobs of one flow again, with those that failed because of them.
pub(super) async fn jobs(
    tx: &mut Transaction<'_>,
    flow: FlowId,
    wanted: &BTreeSet<JobId>,
    at: Millis,
) -> Result<Made, Fault> {
    let flow = Flow::read(tx, flow).await?;
    let rows_read = flow.known.len() + flow.needs.len();
    Ok(Made { retry: flow.retry(tx, wanted, at).await?, rows_read })
}

/// All of a flow that a retry looks at.
struct Flow {
    known: Vec<Known>,
    needs: Vec<(JobId, Need)>,
    rows: BTreeMap<JobId, SqliteRow>,
}

impl Flow {
    async fn read(tx: &mut Transaction<'_>, id: FlowId) -> Result<Self, Fault> {
        let id = id.to_string();
        let jobs = sqlx::query(sql!("job/list_of_flow_to_move"))
            .bind(&id)
            .fetch_all(tx.connection().await?)
            .await?;
        let edges = sqlx::query(sql!("need/list_of_flow"))
            .bind(&id)
            .fetch_all(tx.connection().await?)
            .await?;
        let (mut known, mut rows) = (Vec::with_capacity(jobs.len()), BTreeMap::new());
        for row in jobs {
            let (job, state) = (row::text(&row, "id")?, row::text(&row, "state")?);
            let is_dependency_failed = row.try_get("is_dependency_failed")?;
            let is_waiting = row.try_get("is_waiting")?;
            known.push(Known { job, state, is_dependency_failed, is_waiting });
            rows.insert(job, row);
        }
        let needs = edges.iter().map(row::edge).collect::<Result<_, _>>()?;
        Ok(Self { known, needs, rows })
    }

    async fn retry(
        &self,
        tx: &mut Transaction<'_>,
        wanted: &BTreeSet<JobId>,
        at: Millis,
    ) -> Result<Retry, Fault> {
        let retry = retry(&self.known, &self.needs, wanted);
        let mut moved = Vec::with_capacity(retry.back.len());
        for (job, waits) in &retry.back {
            let event = if *waits == 0 { Event::Retried } else { Event::RetriedBlocked };
            let reason = if wanted.contains(job) {
                "retried on request"
            } else {
                "retried with what it needs"
            };
            if let Some(row) = self.rows.get(job) {
                let step = Step { waits: *waits, ..Step::because(event, at, reason) };
                moved.push(Moved::by(step, Held::read(row)?)?);
            }
        }
        transition::write_alone(tx, &moved).await?;
        set_waits(tx, &retry.waiting).await?;
        Ok(retry)
    }
}

/// Says how many others blocked jobs wait for.
pub(super) async fn set_waits(
    tx: &mut Transaction<'_>,
    counts: &[(JobId, u32)],
) -> Result<(), Fault> {
    if counts.is_empty() {
        return Ok(());
    }
    let written: Value =
        counts.iter().map(|(job, waits)| json!({ "id": job, "waits": waits })).collect();
    let set = sqlx::query(sql!("job/set_waits"))
        .bind(written.to_string())
        .execute(tx.connection().await?)
        .await?;
    rows("job", set.rows_affected(), u64::try_from(counts.len()).unwrap_or(u64::MAX))
}
