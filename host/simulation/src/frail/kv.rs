//! The state of plugins.

use async_trait::async_trait;
use roughneck_jobs::{
    ports::{
        kv::{Key, KeyValue, Written},
        store::StoreError,
    },
    run::Run,
};

use super::Frail;
use crate::history::{Answer, Request, Write};

#[async_trait]
impl KeyValue for Frail {
    async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.cross(self.inner.get(key)).await
    }

    async fn set(
        &self,
        run: Run,
        key: Key,
        value: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Written, StoreError> {
        let request = Request::Write(run, Write::KeyValue);
        self.noted(request, self.inner.set(run, key, value, bytes_max), |_| Answer::Kept).await
    }

    async fn delete(&self, run: Run, key: Key) -> Result<bool, StoreError> {
        let request = Request::Write(run, Write::KeyValue);
        self.noted(request, self.inner.delete(run, key), |_| Answer::Kept).await
    }
}
