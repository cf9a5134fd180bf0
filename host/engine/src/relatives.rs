//! A run's way to the jobs that it has to do with: [`Relatives`] on the queue of this host.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use roughneck_jobs::{
    caller::Caller,
    child::{NewChild, SubmittedChild},
    clock::Millis,
    flow::Dependency,
    id::JobId,
    intake,
    job::{Job, NewJob},
    ports::{
        runner::{NotSubmitted, Relatives, Wish},
        store::StoreError,
    },
    run::Run,
    strict::nearest,
};

use crate::{placing::Patience, shared::Shared};

/// The relatives of a run's job. Children are written under the fence of the run.
pub(crate) struct Kin {
    shared: Arc<Shared>,
    run: Run,
    trace_parent: Option<String>,
    /// That of the job as well: what a caller has done is no cheaper in parts.
    caller: Option<Caller>,
    /// That of the job, which its children have as well: nobody would wait for one that outlives it.
    deadline: Option<Millis>,
}

impl Kin {
    pub(crate) fn new(shared: &Arc<Shared>, run: Run, job: &Job) -> Arc<Self> {
        let (trace_parent, caller) = (job.trace_parent.clone(), job.caller.clone());
        Arc::new(Self {
            shared: Arc::clone(shared),
            run,
            trace_parent,
            caller,
            deadline: job.deadline,
        })
    }

    fn job(&self, wish: Wish) -> Result<NewJob, NotSubmitted> {
        let parts = &self.shared.parts;
        let Some(served) = parts.catalog.served(&wish.kind) else {
            let kinds = parts.catalog.kinds();
            let near = nearest(&wish.kind, kinds.iter().map(String::as_str));
            let suggestion = near.map(str::to_owned);
            return Err(NotSubmitted::UnknownKind { kind: wish.kind, suggestion });
        };
        let job = intake::child(wish, &served, &*parts.clock, &*parts.entropy)?;
        let (trace_parent, caller) = (self.trace_parent.clone(), self.caller.clone());
        Ok(NewJob { trace_parent, caller, deadline: self.deadline, ..job })
    }
}

impl fmt::Debug for Kin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kin").field("run", &self.run).finish_non_exhaustive()
    }
}

#[async_trait]
impl Relatives for Kin {
    async fn submit(&self, wish: Wish) -> Result<JobId, NotSubmitted> {
        let (name, depth_max) = (wish.name.clone(), self.shared.config.depth_max);
        let job = self.job(wish)?;
        let job = match Patience::default().model_of(&self.shared, &job).await {
            Some(model) => intake::placed(job, &model),
            None => job,
        };
        let child = NewChild { name, job, depth_max };
        match self.shared.parts.children.submit_child(self.run, child).await? {
            SubmittedChild::Created(id)
            | SubmittedChild::Existing(id)
            | SubmittedChild::Retried(id) => Ok(id),
            SubmittedChild::TooDeep(depth) => Err(NotSubmitted::TooDeep { depth, depth_max }),
            SubmittedChild::Taken(other) => Err(NotSubmitted::Taken(other)),
        }
    }

    async fn children(&self, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        self.shared.parts.children.children(self.run.job, ids).await
    }

    async fn needed(&self, name: &str) -> Result<Option<Dependency>, StoreError> {
        let names = BTreeSet::from([name.to_owned()]);
        let needed = self.shared.parts.flows.dependencies(self.run.job, &names).await?;
        Ok(needed.into_iter().find(|needed| needed.name == name))
    }
}
