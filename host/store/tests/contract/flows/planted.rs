//! Flows in a few letters, and what the tests of flows do with them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use roughneck_jobs::{
    clock::{Entropy, Millis},
    failure::Failure,
    flow::{Flow, FlowState, Need, NewFlow, NewMember, OnFailure},
    id::{FlowId, JobId},
    job::{Job, NewJob},
    ports::store::Verdict,
    run::Run,
    state::State,
};

use crate::given::{World, at, new_job, slots};

struct Next;
impl Entropy for Next {
    fn roll(&self) -> u128 {
        static FLOWS: AtomicU64 = AtomicU64::new(1);
        u128::from(FLOWS.fetch_add(1, Ordering::Relaxed))
    }
}

pub(crate) fn flow_id() -> FlowId {
    FlowId::at(at(0), &Next)
}

/// A flow of jobs that are written as `name: needed needed`. A needed job may fail if it is written
/// with `?`, and is ignored with `~`. It stands anywhere in the list.
pub(crate) fn flow(lines: &[&str]) -> NewFlow {
    let id = flow_id();
    let read: Vec<(&str, &str)> =
        lines.iter().map(|line| line.split_once(':').unwrap_or((line, ""))).collect();
    let jobs: BTreeMap<&str, NewJob> = read.iter().map(|(name, _)| (*name, new_job())).collect();
    let need = |text: &str| {
        let name = text.trim_end_matches(['?', '~']);
        let on_failure = match text.chars().last() {
            Some('?') => OnFailure::Continue,
            Some('~') => OnFailure::Ignore,
            Some(_) | None => OnFailure::Fail,
        };
        Need { job: jobs[name].id, on_failure }
    };
    let member = |name: &str, needs: &str, place: u32| NewMember {
        flow: id,
        name: name.to_owned(),
        place,
        needs: needs.split_whitespace().map(need).collect(),
    };
    let jobs = read.iter().zip(1..).map(|((name, needs), place)| {
        let job = jobs[name].clone();
        NewJob { member: Some(member(name, needs, place)), ..job }
    });
    let jobs = jobs.collect();
    let digest = format!("digest of {}", lines.join(";"));
    NewFlow { id, idempotency_key: None, name: None, digest, enqueued_at: at(0), jobs }
}

/// A flow that was submitted.
pub(crate) struct Planted {
    pub(crate) id: FlowId,
    pub(crate) jobs: BTreeMap<String, JobId>,
}

impl Planted {
    pub(crate) fn of(flow: &NewFlow) -> Self {
        let name = |job: &NewJob| job.member.clone().unwrap().name;
        let jobs = flow.jobs.iter().map(|job| (name(job), job.id)).collect();
        Self { id: flow.id, jobs }
    }

    pub(crate) fn job(&self, name: &str) -> JobId {
        self.jobs[name]
    }
}

impl World {
    /// A world with slots for everybody.
    pub(crate) async fn wide() -> Self {
        let world = Self::new().await;
        world.set_slots(&slots(3_000)).await.unwrap();
        world
    }

    pub(crate) async fn plant(&self, lines: &[&str]) -> Planted {
        self.plant_as(flow(lines)).await
    }

    pub(crate) async fn plant_as(&self, flow: NewFlow) -> Planted {
        let planted = Planted::of(&flow);
        self.submit_flow(flow).await.unwrap();
        planted
    }

    pub(crate) async fn job_of(&self, flow: &Planted, name: &str) -> Job {
        self.get_job(flow.job(name)).await
    }

    /// The states of a flow's jobs, as `a=done b=failed`.
    pub(crate) async fn told(&self, flow: &Planted) -> String {
        let mut told = Vec::new();
        for (name, id) in &flow.jobs {
            told.push(format!("{name}={}", self.get_job(*id).await.state.as_str()));
        }
        told.join(" ")
    }

    /// How many jobs a blocked one waits for.
    pub(crate) async fn waits(&self, flow: &Planted, name: &str) -> u32 {
        let job = self.job_of(flow, name).await;
        assert_eq!(job.state, State::Blocked, "{name}");
        job.member.unwrap().waits
    }

    pub(crate) async fn get_flow(&self, flow: &Planted) -> Flow {
        self.flow(flow.id).await.unwrap().unwrap()
    }

    pub(crate) async fn stands(&self, flow: &Planted) -> FlowState {
        self.get_flow(flow).await.state()
    }

    /// Claims everything that may run.
    pub(crate) async fn claim_all(&self, now: Millis) -> BTreeMap<JobId, Run> {
        let claimed = self.claim_at(3_000, now).await;
        claimed.into_iter().map(|one| (one.run.job, one.run)).collect()
    }

    /// Runs one job of a flow to this end, and gives back what was claimed besides.
    pub(crate) async fn run(&self, flow: &Planted, name: &str, verdict: Verdict, now: Millis) {
        let mut runs = self.claim_all(now).await;
        let run = runs.remove(&flow.job(name)).unwrap_or_else(|| panic!("{name} does not run"));
        self.end(run, verdict, now).await;
        for run in runs.into_values() {
            self.release(run, now).await.unwrap();
        }
    }

    /// Runs whatever may run to a good end, until nothing may.
    pub(crate) async fn finish_all(&self, now: Millis) {
        loop {
            let runs = self.claim_all(now).await;
            if runs.is_empty() {
                return;
            }
            for run in runs.into_values() {
                self.end(run, crate::given::done(), now).await;
            }
        }
    }
}

pub(crate) fn fatal() -> Verdict {
    Verdict::Fail { failure: Failure::fatal("broken", "it broke") }
}
