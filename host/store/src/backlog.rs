//! The jobs that wait for their models: [`Backlog`] on SQLite.

use std::collections::BTreeSet;

use async_trait::async_trait;
use roughneck_jobs::{
    class::Class,
    ports::{backlog::Backlog, store::StoreError},
};

use crate::{SqliteStore, fault::Fault, transition::to_json};

#[async_trait]
impl Backlog for SqliteStore {
    async fn asks_for(&self, class: &Class, models: &BTreeSet<String>) -> Result<bool, StoreError> {
        let read = self.read_whether_asked_for(class, models).await;
        read.map_err(|fault| fault.told("see whether a job asks for a model"))
    }
}

impl SqliteStore {
    async fn read_whether_asked_for(
        &self,
        class: &Class,
        models: &BTreeSet<String>,
    ) -> Result<bool, Fault> {
        let asked = sqlx::query_scalar(sql!("job/asks_for_model"));
        Ok(asked.bind(&class.0).bind(to_json(models)?).fetch_one(&self.readers).await?)
    }
}
