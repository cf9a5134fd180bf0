//! The state of plugins: [`KeyValue`] on SQLite.

use async_trait::async_trait;
use roughneck_jobs::{
    ports::{
        kv::{Key, KeyValue, Written},
        store::StoreError,
    },
    run::Run,
};

use crate::{
    SqliteStore,
    command::{Command, Entry},
    fault::Fault,
};

#[async_trait]
impl KeyValue for SqliteStore {
    async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_value(key).await.map_err(|fault| fault.told("read a value of a plugin"))
    }

    async fn set(
        &self,
        run: Run,
        key: Key,
        value: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Written, StoreError> {
        let entry = Box::new(Entry { key, value, bytes_max });
        self.ask(|reply| Command::SetValue { run, entry, reply }).await
    }

    async fn delete(&self, run: Run, key: Key) -> Result<bool, StoreError> {
        self.ask(|reply| Command::DeleteValue { run, key, reply }).await
    }
}

impl SqliteStore {
    async fn read_value(&self, key: &Key) -> Result<Option<Vec<u8>>, Fault> {
        let value = sqlx::query_scalar(sql!("kv/read"))
            .bind(&key.plugin)
            .bind(&key.namespace)
            .bind(&key.key)
            .fetch_optional(&self.readers)
            .await?;
        Ok(value)
    }
}
