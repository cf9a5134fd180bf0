//! Flows: [`Flows`] on SQLite.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    flow::{Dependency, Flow, Need, NewFlow, Part, RESULTS_BYTES_MAX, Tally},
    id::{FlowId, JobId},
    ports::{
        flows::{CancelledFlow, Flows, RetriedFlow, SubmittedFlow},
        store::{Store as _, StoreError},
    },
};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

use crate::{SqliteStore, command::Command, fault::Fault, row};

/// Flows on one page.
const PAGE_MAX: u32 = 500;

#[async_trait]
impl Flows for SqliteStore {
    async fn submit_flow(&self, flow: NewFlow) -> Result<SubmittedFlow, StoreError> {
        // A full host answers what it has taken before.
        if self.intake.is_full()?
            && let Some(known) = self.standing_flow(&flow).await?
        {
            self.synced().await?;
            return Ok(SubmittedFlow::Existing(known));
        }
        self.intake.check()?;
        let flow = Box::new(flow);
        let submitted = self.ask(|reply| Command::SubmitFlow { flow, reply }).await;
        if matches!(submitted, Err(StoreError::DiskFull { .. })) {
            self.intake.overflowed();
        }
        submitted
    }

    async fn flow(&self, id: FlowId) -> Result<Option<Flow>, StoreError> {
        let flow = self.read_flow(sql!("flow/read"), &id.to_string()).await;
        flow.map_err(|fault| fault.told("read a flow"))
    }

    async fn flow_of_key(&self, key: &str) -> Result<Option<Flow>, StoreError> {
        let flow = self.read_flow(sql!("flow/read_of_key"), key).await;
        flow.map_err(|fault| fault.told("look for the flow of an idempotency key"))
    }

    async fn flows(&self, before: Option<FlowId>, limit: u32) -> Result<Vec<Flow>, StoreError> {
        let flows = self.read_flows(before, limit.clamp(1, PAGE_MAX)).await;
        flows.map_err(|fault| fault.told("read a page of flows"))
    }

    async fn parts(&self, id: FlowId) -> Result<Vec<Part>, StoreError> {
        self.read_parts(id).await.map_err(|fault| fault.told("read the jobs of a flow"))
    }

    async fn dependencies(
        &self,
        job: JobId,
        results: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, StoreError> {
        let dependencies = self.read_dependencies(job, results).await;
        dependencies.map_err(|fault| fault.told("read the results that a job needs"))
    }

    async fn cancel_flow(&self, id: FlowId, at: Millis) -> Result<CancelledFlow, StoreError> {
        self.ask(|reply| Command::CancelFlow { id, at, reply }).await
    }

    async fn retry_flow(&self, id: FlowId, at: Millis) -> Result<RetriedFlow, StoreError> {
        self.ask(|reply| Command::RetryFlow { id, at, reply }).await
    }

    async fn mend_waits(&self, at: Millis, limit: u32) -> Result<Vec<JobId>, StoreError> {
        // Asked on a reader first, so that a host where nothing is wrong writes nothing.
        let any = self.is_any_stuck().await;
        if !any.map_err(|fault| fault.told("look for jobs that are blocked for no reason"))? {
            return Ok(Vec::new());
        }
        self.ask(|reply| Command::MendWaits { at, limit, reply }).await
    }
}

impl SqliteStore {
    /// The flow that stands in the way of a new one: that of its key or, if the key is new, of its id.
    async fn standing_flow(&self, flow: &NewFlow) -> Result<Option<FlowId>, StoreError> {
        if let Some(key) = &flow.idempotency_key
            && let Some(known) = self.flow_of_key(key).await?
        {
            return Ok(Some(known.id));
        }
        Ok(self.flow(flow.id).await?.map(|known| known.id))
    }

    async fn read_flow(&self, statement: &'static str, by: &str) -> Result<Option<Flow>, Fault> {
        let row = sqlx::query(statement).bind(by).fetch_optional(&self.readers).await?;
        let flow = row.as_ref().map(row::flow).transpose()?;
        let counted = self.counted(flow.into_iter().collect()).await?;
        Ok(counted.into_iter().next())
    }

    async fn read_flows(&self, before: Option<FlowId>, limit: u32) -> Result<Vec<Flow>, Fault> {
        let rows = sqlx::query(sql!("flow/page"))
            .bind(before.map(|before| before.to_string()))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        self.counted(rows.iter().map(row::flow).collect::<Result<_, _>>()?).await
    }

    /// The flows with their jobs counted.
    async fn counted(&self, mut flows: Vec<Flow>) -> Result<Vec<Flow>, Fault> {
        let ids: Value = flows.iter().map(|flow| Value::from(flow.id.to_string())).collect();
        let rows =
            sqlx::query(sql!("job/tally")).bind(ids.to_string()).fetch_all(&self.readers).await?;
        let mut tallies: BTreeMap<FlowId, Vec<(Tally, Option<Millis>)>> = BTreeMap::new();
        for row in &rows {
            let counted = (row::tally(row)?, row::millis_or_none(row, "finished_at_ms")?);
            tallies.entry(row::text(row, "flow")?).or_default().push(counted);
        }
        for flow in &mut flows {
            let tallies = tallies.remove(&flow.id).unwrap_or_default();
            flow.last_end = tallies.iter().filter_map(|(_, at)| *at).max();
            flow.tallies = tallies.into_iter().map(|(tally, _)| tally).collect();
        }
        Ok(flows)
    }

    async fn read_parts(&self, id: FlowId) -> Result<Vec<Part>, Fault> {
        let id = id.to_string();
        let jobs = sqlx::query(sql!("job/list_of_flow")).bind(&id).fetch_all(&self.readers).await?;
        let edges =
            sqlx::query(sql!("need/list_of_flow")).bind(&id).fetch_all(&self.readers).await?;
        let mut needs: BTreeMap<JobId, Vec<Need>> = BTreeMap::new();
        for edge in &edges {
            let (job, need) = row::edge(edge)?;
            needs.entry(job).or_default().push(need);
        }
        let mut parts = Vec::with_capacity(jobs.len());
        for row in &jobs {
            match row::job(row) {
                Ok(job) => {
                    let needs = needs.remove(&job.id).unwrap_or_default();
                    parts.push(Part { job, needs });
                }
                Err(error) => tracing::warn!(%error, "a job cannot be read and is left out"),
            }
        }
        Ok(parts)
    }

    async fn read_dependencies(
        &self,
        job: JobId,
        results: &BTreeSet<String>,
    ) -> Result<Vec<Dependency>, Fault> {
        let results: Value = results.iter().map(|name| Value::from(name.as_str())).collect();
        let rows = sqlx::query(sql!("need/list_results"))
            .bind(job.to_string())
            .bind(results.to_string())
            .bind(i64::try_from(RESULTS_BYTES_MAX).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.iter().map(row::dependency).collect::<Result<_, _>>()?)
    }

    async fn is_any_stuck(&self) -> Result<bool, Fault> {
        let stuck: Option<SqliteRow> =
            sqlx::query(sql!("job/list_stuck")).bind(1).fetch_optional(&self.readers).await?;
        Ok(stuck.is_some())
    }
}
