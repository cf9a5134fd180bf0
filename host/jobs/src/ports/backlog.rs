//! The durable jobs that wait, as somebody sees them who serves their models.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::store::StoreError;
use crate::class::Class;

/// Knows which jobs wait.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Whether a queued job of this class asks for one of these models, by whichever of these names.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn asks_for(&self, class: &Class, models: &BTreeSet<String>) -> Result<bool, StoreError>;
}

/// No jobs at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

#[async_trait]
impl Backlog for Nobody {
    async fn asks_for(&self, _: &Class, _: &BTreeSet<String>) -> Result<bool, StoreError> {
        Ok(false)
    }
}
