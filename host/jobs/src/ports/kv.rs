//! The key-value state of plugins. Writes carry the fence: a stale run changes nothing.

use async_trait::async_trait;

use super::store::StoreError;
use crate::run::Run;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// Where a value lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The plugin, by name: its state outlives its versions.
    pub plugin: String,
    /// The namespace the plugin opened.
    pub namespace: String,
    /// The key.
    pub key: String,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on disk.
    Stored,
    /// The plugin's state would pass its limit; nothing was written.
    Full {
        /// Bytes of all keys and values, with this write.
        bytes: u64,
    },
}

/// Key-value state.
#[async_trait]
pub trait KeyValue: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets a value, if the plugin's keys and values stay within `bytes_max`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds its job.
    async fn set(
        &self,
        run: Run,
        key: Key,
        value: Vec<u8>,
        bytes_max: u64,
    ) -> Result<Written, StoreError>;

    /// Deletes a key. False if it was not there.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the run no longer holds its job.
    async fn delete(&self, run: Run, key: Key) -> Result<bool, StoreError>;
}
