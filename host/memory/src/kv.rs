//! The state of plugins.

use async_trait::async_trait;
use roughneck_jobs::{
    ports::{
        kv::{Key, KeyValue, Written},
        store::StoreError,
    },
    run::Run,
};

use crate::{Memory, tables::place};

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().values.get(&place(key)).cloned())
    }

    async fn set(
        &self,
        run: Run,
        key: Key,
        value: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Written, StoreError> {
        self.write(|tables| {
            tables.held(run)?;
            let others = tables.values.iter().filter(|(at, _)| at.0 == key.plugin);
            let others = others.filter(|(at, _)| **at != place(&key));
            let others: usize = others.map(|(at, value)| at.2.len() + value.len()).sum();
            let bytes = u64::try_from(others + key.key.len() + value.len()).unwrap_or(u64::MAX);
            let before = tables.values.get(&place(&key)).map_or(0, Vec::len);
            if bytes > bytes_max && value.len() >= before {
                return Ok(Written::Full { bytes });
            }
            tables.values.insert(place(&key), value);
            Ok(Written::Stored)
        })
    }

    async fn delete(&self, run: Run, key: Key) -> Result<bool, StoreError> {
        self.write(|tables| {
            tables.held(run)?;
            Ok(tables.values.remove(&place(&key)).is_some())
        })
    }
}
