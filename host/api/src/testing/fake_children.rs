//! The families of jobs, in memory.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use roughneck_jobs::{
    child::{Family, NewChild, SubmittedChild},
    flow::Dependency,
    id::JobId,
    ports::{children::Children, store::StoreError},
    run::Run,
};

#[derive(Default)]
pub(crate) struct FakeChildren(Mutex<BTreeMap<JobId, Family>>);

impl FakeChildren {
    pub(crate) fn put(&self, id: JobId, family: Family) {
        self.0.lock().unwrap().insert(id, family);
    }
}

#[async_trait]
impl Children for FakeChildren {
    async fn submit_child(&self, _: Run, _: NewChild) -> Result<SubmittedChild, StoreError> {
        unreachable!("the engine's")
    }

    async fn children(&self, _: JobId, _: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        unreachable!("the engine's")
    }

    async fn family(&self, id: JobId, limit: u32) -> Result<Option<Family>, StoreError> {
        let mut family = self.0.lock().unwrap().get(&id).cloned();
        if let Some(family) = &mut family {
            family.children.truncate(limit as usize);
        }
        Ok(family)
    }
}
