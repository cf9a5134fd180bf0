//! The way webhooks leave the host.

use async_trait::async_trait;

use crate::{clock::Millis, delivery::Delivery};

/// Why one attempt at a delivery failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// Another attempt may succeed.
    #[error("{message}")]
    ForNow {
        /// One sentence.
        message: String,
        /// Milliseconds the target asked to wait.
        retry_after_ms: Option<u64>,
    },
    /// No attempt can: the target says it is gone.
    #[error("{0}")]
    ForGood(String),
}

/// Signs and sends deliveries.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Makes one attempt. `at` goes into the signature.
    ///
    /// # Errors
    /// [`NotDelivered`] unless the target answered 2xx.
    async fn send(&self, delivery: &Delivery, at: Millis) -> Result<(), NotDelivered>;
}
