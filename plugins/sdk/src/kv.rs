//! A small store of the plugin's own, shared by all its jobs.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::roughneck::plugin::kv;
use crate::{Failure, HostError};

/// A namespace of the store.
#[derive(Debug)]
pub struct Store(kv::Store);

/// Opens the namespace `name`; it need not exist.
///
/// # Errors
/// If the manifest or the operator does not grant the store.
pub fn open(name: &str) -> Result<Store, HostError> {
    kv::Store::open(name).map(Store)
}

impl Store {
    /// The value of `key`, if there is one.
    ///
    /// # Errors
    /// If the host cannot read, or the value is JSON of another shape (code
    /// `stored-value-unreadable`).
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        let Some(bytes) = self.get_bytes(key)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Failure::fail(
                "stored-value-unreadable",
                format!("The stored value of `{key}` cannot be read: {error}."),
            )
        })
    }

    /// Sets `key` to `value`, written as JSON.
    ///
    /// # Errors
    /// If the host refuses, above all when the store is full, or `value` cannot be written as JSON.
    pub fn set(&self, key: &str, value: &impl Serialize) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(value).map_err(|error| {
            Failure::fail(
                "stored-value-unwritable",
                format!("The value for `{key}` cannot be written as JSON: {error}."),
            )
        })?;
        Ok(self.set_bytes(key, &bytes)?)
    }

    /// The bytes of `key`, if there are any.
    ///
    /// # Errors
    /// If the host cannot read.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, HostError> {
        self.0.get(key)
    }

    /// Sets `key` to bytes.
    ///
    /// # Errors
    /// If the host refuses, above all when the store is full.
    pub fn set_bytes(&self, key: &str, value: &[u8]) -> Result<(), HostError> {
        self.0.set(key, value)
    }

    /// Deletes `key`; false if there was nothing to delete.
    ///
    /// # Errors
    /// If the host cannot write.
    pub fn delete(&self, key: &str) -> Result<bool, HostError> {
        self.0.delete(key)
    }
}
