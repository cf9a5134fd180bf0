//! Running one attempt of a job in the sandbox.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{catalog::Served, store::StoreError};
use crate::{
    clock::Millis,
    delivery::Notice,
    failure::Failure,
    flow::Dependency,
    id::JobId,
    intake::NotAccepted,
    job::{Job, LogLine},
    priority::Priority,
    run::Run,
    usage::Usage,
};

/// One attempt to make.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The job. Where its input refers to results of jobs that it needs, these are in it.
    pub job: Job,
    /// The jobs that it needs, with the results that its input refers to.
    pub needs: Vec<Dependency>,
    /// Its way to the jobs that it has to do with.
    pub relatives: Arc<dyn Relatives>,
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
    /// The plugin wants to run again when these children of its job are over.
    Awaits(Vec<JobId>),
}

/// A child as a plugin asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The kind, or an alias of it.
    pub kind: String,
    /// Its name among the children of the job.
    pub name: String,
    /// JSON.
    pub input: String,
    /// The kind's own priority if there is none.
    pub priority: Option<Priority>,
    /// Not before this instant.
    pub run_at: Option<Millis>,
}

/// Why a child was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum NotSubmitted {
    /// Nobody serves the kind.
    #[error("no installed plugin serves the kind `{kind}`{}", did_you_mean(suggestion.as_deref()))]
    UnknownKind {
        /// As asked for.
        kind: String,
        /// A kind of a similar name.
        suggestion: Option<String>,
    },
    /// Too large, or at an impossible time.
    #[error(transparent)]
    NotAccepted(#[from] NotAccepted),
    /// Too many jobs above it.
    #[error(
        "the job would be at depth {depth} below the one that began it, and the limit is {depth_max}; let a job higher up submit it, or raise `depth-max` under [guard] in roughneck.toml"
    )]
    TooDeep {
        /// Where it would be.
        depth: u32,
        /// The limit.
        depth_max: u32,
    },
    /// There is only one of its kind with this unique key.
    #[error(
        "job {0}, which is not a child of this one, has the unique key that this job would need; try again when it is over"
    )]
    Taken(JobId),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |kind| format!("; did you mean `{kind}`?"))
}

/// The jobs that a run has to do with: the children of its job, and what its job needs.
#[async_trait]
pub trait Relatives: Send + Sync + fmt::Debug {
    /// Submits a child, or finds the one of this name, and returns its id.
    ///
    /// # Errors
    /// [`NotSubmitted`].
    async fn submit(&self, wish: Wish) -> Result<JobId, NotSubmitted>;

    /// Those of the jobs `ids` that are children of the job, in no order; see
    /// [`super::children::Children::children`].
    ///
    /// # Errors
    /// [`StoreError`].
    async fn children(&self, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError>;

    /// The needed job of this name, with its result, unless that is too large.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn needed(&self, name: &str) -> Result<Option<Dependency>, StoreError>;
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

/// What a run may ask and tell its engine. Nothing here waits, except for a move to the store, and a word of it.
#[async_trait]
pub trait Supervisor: Send + Sync {
    /// How it stands as far as is known.
    fn standing(&self) -> Standing;
    /// How it stands for sure: asked before every side effect. It waits only where the lease has run out by the host's
    /// own clock, as after the host was frozen, until the store has said whether the run still holds its job.
    async fn confirmed(&self) -> Standing;
    /// The guest is about to execute its first instruction: what came before was the host's overhead.
    fn began(&self);
    /// The run waits for its model, or no longer does.
    async fn loading(&self, loading: bool);
    /// The run waits for its model again, because its call gave way to an urgent one.
    async fn gave_way(&self);
    /// Text was generated.
    fn text(&self, piece: &str);
    /// The text so far is void: the answer is begun anew.
    fn retract(&self);
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
