//! The memory of the token budgets: what was spent of each, by the day.

use async_trait::async_trait;

use super::store::StoreError;
use crate::budget::Spent;

/// Remembers what was spent. Days are dates, as `2026-11-29`.
#[async_trait]
pub trait Spending: Send + Sync {
    /// What was spent on a day.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn spent_on(&self, date: &str) -> Result<Vec<Spent>, StoreError>;

    /// Remembers what was spent on a day until now, all of it. It never becomes less.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remember_spent(&self, date: String, spent: Vec<Spent>) -> Result<(), StoreError>;

    /// Forgets up to `limit` entries of the days before `date`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forget_spent(&self, date: String, limit: u32) -> Result<u32, StoreError>;
}
