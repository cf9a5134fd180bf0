//! Children. No story has one yet.

use async_trait::async_trait;
use roughneck_jobs::{
    child::{Family, NewChild, SubmittedChild},
    flow::Dependency,
    id::JobId,
    ports::{children::Children, store::StoreError},
    run::Run,
};

use super::Frail;

#[async_trait]
impl Children for Frail {
    async fn submit_child(&self, run: Run, child: NewChild) -> Result<SubmittedChild, StoreError> {
        self.cross(self.inner.submit_child(run, child)).await
    }

    async fn children(&self, parent: JobId, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        self.cross(self.inner.children(parent, ids)).await
    }

    async fn family(&self, id: JobId, limit: u32) -> Result<Option<Family>, StoreError> {
        self.cross(self.inner.family(id, limit)).await
    }
}
