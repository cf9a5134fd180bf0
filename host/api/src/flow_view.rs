//! A flow as clients see it: how it stands, and the graph of its jobs.

use std::collections::BTreeMap;

use roughneck_jobs::{
    failure::FailureView,
    flow::{Flow, FlowState, OnFailure, Part},
    id::{FlowId, JobId},
    state::State,
};
use serde::Serialize;

use crate::view::At;

/// One flow. Lists leave out its jobs.
#[derive(Debug, Serialize)]
pub(crate) struct FlowView<'a> {
    id: FlowId,
    name: Option<&'a str>,
    state: FlowState,
    enqueued_at: At,
    /// None while it runs.
    finished_at: Option<At>,
    /// Jobs by state; states that no job is in are left out.
    counts: BTreeMap<&'static str, u32>,
    /// Jobs that are over, of all it was submitted with.
    ended: u32,
    submitted: u32,
    /// Jobs that were deleted since; what became of them does not count any more.
    deleted: u32,
    links: Links,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<PartView<'a>>>,
}

/// Where to go on from a flow.
#[derive(Debug, Serialize)]
pub(crate) struct Links {
    #[serde(rename = "self")]
    flow: String,
}

impl Links {
    pub(crate) fn of(id: FlowId) -> Self {
        Self { flow: format!("/flows/{id}") }
    }
}

/// A job of a flow. `GET /jobs/{id}` has the rest of it.
#[derive(Debug, Serialize)]
struct PartView<'a> {
    name: &'a str,
    id: JobId,
    kind: &'a str,
    state: State,
    reason: Option<&'a str>,
    attempt: u32,
    attempts_max: u32,
    run_at: At,
    started_at: Option<At>,
    finished_at: Option<At>,
    needs: Vec<NeedView<'a>>,
    /// How many of these are not over.
    waits: u32,
    error: Option<FailureView<'a>>,
}

#[derive(Debug, Serialize)]
struct NeedView<'a> {
    /// The name of the needed job, or none if it was deleted.
    job: Option<&'a str>,
    id: JobId,
    on_failure: OnFailure,
}

impl<'a> FlowView<'a> {
    /// What a list shows.
    pub(crate) fn summary(flow: &'a Flow) -> Self {
        let mut counts = BTreeMap::new();
        for tally in &flow.tallies {
            *counts.entry(tally.state.as_str()).or_insert(0) += tally.jobs;
        }
        let kept: u32 = counts.values().sum();
        let ended = flow.tallies.iter().filter(|tally| tally.state.is_terminal());
        let deleted = flow.jobs.saturating_sub(kept);
        Self {
            id: flow.id,
            name: flow.name.as_deref(),
            state: flow.state(),
            enqueued_at: At(flow.enqueued_at),
            finished_at: flow.finished_at().map(At),
            counts,
            ended: ended.map(|tally| tally.jobs).sum::<u32>().saturating_add(deleted),
            submitted: flow.jobs,
            deleted,
            links: Links::of(flow.id),
            jobs: None,
        }
    }

    /// The flow with its jobs.
    pub(crate) fn with_parts(flow: &'a Flow, parts: &'a [Part]) -> Self {
        let names: BTreeMap<JobId, &str> =
            parts.iter().map(|part| (part.job.id, name(part))).collect();
        let jobs = parts.iter().map(|part| PartView::of(part, &names)).collect();
        Self { jobs: Some(jobs), ..Self::summary(flow) }
    }
}

fn name(part: &Part) -> &str {
    part.job.member.as_ref().map_or("", |member| &member.name)
}

impl<'a> PartView<'a> {
    fn of(part: &'a Part, names: &BTreeMap<JobId, &'a str>) -> Self {
        let job = &part.job;
        let need = |need: &roughneck_jobs::flow::Need| NeedView {
            job: names.get(&need.job).copied(),
            id: need.job,
            on_failure: need.on_failure,
        };
        Self {
            name: name(part),
            id: job.id,
            kind: &job.kind,
            state: job.state,
            reason: job.reason.as_deref(),
            attempt: job.attempt,
            attempts_max: job.attempts_max,
            run_at: At(job.run_at),
            started_at: job.started_at.map(At),
            finished_at: job.finished_at.map(At),
            needs: part.needs.iter().map(need).collect(),
            waits: job.member.as_ref().map_or(0, |member| member.waits),
            error: job.failure.as_ref().map(FailureView::from),
        }
    }
}
