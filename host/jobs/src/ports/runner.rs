//! Running one attempt of a job in the sandbox.

use std::sync::Arc;

use async_trait::async_trait;

use super::catalog::Served;
use crate::{
    clock::Millis, delivery::Notice, failure::Failure, flow::Dependency, job::Job, job::LogLine,
    run::Run, usage::Usage,
};

/// One attempt to make.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The job. Where its input refers to results of jobs that it needs, these are in it.
    pub job: Job,
    /// The jobs that it needs, with the results that its input refers to.
    pub needs: Vec<Dependency>,
    /// The right to run it.
    pub run: Run,
    /// Who runs it.
    pub served: Arc<Served>,
    /// When the host stops the guest: the end of its time, or the deadline of the job if that is earlier.
    pub deadline: Millis,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin returned a result, which is JSON.
    Done {
        /// JSON.
        output: String,
    },
    /// The plugin failed, or was stopped by a limit.
    Failed(Failure),
    /// What the plugin needed was not there; no fault of the job.
    Postponed(Failure),
}

/// How a run stands with its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the job.
    Held,
    /// It was cancelled.
    Cancelled,
    /// The host stops and could wait no longer: the job goes back to the queue.
    Stopping,
    /// It lost the job, and must cause nothing any more.
    Fenced,
    /// The deadline of its job has passed, and it must cause nothing any more.
    Overdue,
}

/// What a run may ask and tell its engine. Nothing here blocks, except a move to the store.
#[async_trait]
pub trait Supervisor: Send + Sync {
    /// Asked before every side effect.
    fn standing(&self) -> Standing;
    /// The guest is about to execute its first instruction: what came before was the host's overhead.
    fn began(&self);
    /// The run waits for its model, or no longer does.
    async fn loading(&self, loading: bool);
    /// Text was generated.
    fn text(&self, piece: &str);
    /// The plugin reports how far it is, 0..=100, with a note.
    fn progress(&self, percent: Option<u8>, note: String);
    /// The plugin writes to the job's log; the caller has cut it to the limit.
    fn log(&self, line: LogLine);
    /// A model call ended with this cost.
    fn spent(&self, usage: &Usage);
    /// The plugin wants this sent if the attempt succeeds.
    fn notify(&self, notice: Notice);
}

/// Runs attempts. Dropping the future stops the guest and its host calls at once.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Runs one attempt in a fresh instance and within the manifest's limits.
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome;
}
