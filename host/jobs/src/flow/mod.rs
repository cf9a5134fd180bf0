//! Flows: jobs that wait for each other.
//!
//! A flow is a directed graph without cycles. Its edges are [`Need`]s: a job runs when every job that
//! it needs is over, and sees their results. What follows when a needed job ends without one is the
//! edge's to say ([`OnFailure`]). [`plan`] checks a submission, [`need`] says what an edge means,
//! [`retry`] which jobs come back when some are retried, [`state`] how the whole stands, and
//! [`mod@reference`] puts results into inputs.

pub mod need;
mod order;
pub mod plan;
pub mod reference;
pub mod retry;
pub mod state;

use crate::{
    clock::Millis,
    failure::Failure,
    id::{FlowId, JobId},
    job::{Job, NewJob},
    state::State,
};

pub use need::{Need, OnFailure};
pub use state::{FlowState, Tally};

/// Jobs in one flow.
pub const JOBS_MAX: usize = 2_000;

/// Needs of all jobs of a flow together.
pub const NEEDS_MAX: usize = 20_000;

/// Bytes of the inputs of a flow's jobs, together.
pub const INPUTS_BYTES_MAX: usize = 32 << 20;

/// Bytes of the results that the input of one job may refer to, and of that input once they are in it.
pub const RESULTS_BYTES_MAX: usize = 16 << 20;

/// A flow on its way into the store. [`plan`] makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFlow {
    /// Made by the submitter or the host.
    pub id: FlowId,
    /// The submitter's name for the submission: while a flow of this key is kept, there is no second.
    pub idempotency_key: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Tells whether two submissions ask for the same; see [`plan::Plan::digest`].
    pub digest: String,
    /// When it was accepted.
    pub enqueued_at: Millis,
    /// Its jobs, each a member of it.
    pub jobs: Vec<NewJob>,
}

/// The part of a new job in its flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// The flow.
    pub flow: FlowId,
    /// The job's name in it.
    pub name: String,
    /// Its place in the submission, from 1: the order in which people see the jobs.
    pub place: u32,
    /// What it waits for.
    pub needs: Vec<Need>,
}

/// The part of a job in its flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The flow.
    pub flow: FlowId,
    /// The job's name in it.
    pub name: String,
    /// Needed jobs that are not over. 0 unless the job is blocked.
    pub waits: u32,
}

/// A flow as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// What people call it.
    pub name: Option<String>,
    /// Tells whether a repeated submission asks for the same.
    pub digest: String,
    /// When it was accepted.
    pub enqueued_at: Millis,
    /// The jobs it was submitted with. Some may have been deleted since.
    pub jobs: u32,
    /// Its jobs, counted.
    pub tallies: Vec<Tally>,
    /// When the last job so far ended.
    pub last_end: Option<Millis>,
}

impl Flow {
    /// How it stands.
    #[must_use]
    pub fn state(&self) -> FlowState {
        state::of(&self.tallies)
    }

    /// When it was over, if it is.
    #[must_use]
    pub fn finished_at(&self) -> Option<Millis> {
        match self.state() {
            FlowState::Running => None,
            FlowState::Done | FlowState::Failed | FlowState::Cancelled => self.last_end,
        }
    }
}

/// A job of a flow with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The job, without its input and output, which can be large.
    pub job: Job,
    /// What it needs; a needed job may have been deleted.
    pub needs: Vec<Need>,
}

/// A needed job, as the job that needs it sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Its name in the flow.
    pub name: String,
    /// Its id.
    pub job: JobId,
    /// How it ended.
    pub state: State,
    /// JSON of its result. Read only if it was asked for, and if it is not too large together with the
    /// others.
    pub output: Option<String>,
    /// Bytes of its result, whether it was read or not.
    pub output_bytes: usize,
    /// Why it has no result.
    pub failure: Option<Failure>,
}
