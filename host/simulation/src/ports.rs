//! The store under test.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::ports::{
    bell::Bell, children::Children, flows::Flows, kv::KeyValue, outbox::Outbox,
    schedules::Schedules, spending::Spending, store::Store,
};

use crate::Time;

/// All ports of one store.
pub trait Ports: Store + Flows + Children + Outbox + Schedules + KeyValue + Spending {}
impl<T: Store + Flows + Children + Outbox + Schedules + KeyValue + Spending> Ports for T {}

/// A database that outlives the stores that are opened on it.
#[async_trait]
pub trait Database: Send + Sync {
    /// Opens a store, as a host does when it starts. The store before it was dropped without a word.
    ///
    /// # Errors
    /// Whatever keeps it from being opened.
    async fn open(
        &self,
        bell: Arc<dyn Bell>,
        time: Arc<Time>,
    ) -> Result<Arc<dyn Ports>, Box<dyn std::error::Error + Send + Sync>>;

    /// Whether threads outside tokio work for it. The clock then stands still while a call is under way.
    fn has_threads(&self) -> bool;
}
