//! The memory of the token budgets.

use async_trait::async_trait;
use roughneck_jobs::{
    budget::Spent,
    ports::{spending::Spending, store::StoreError},
};

use super::Frail;

#[async_trait]
impl Spending for Frail {
    async fn spent_on(&self, date: &str) -> Result<Vec<Spent>, StoreError> {
        self.cross(self.inner.spent_on(date)).await
    }

    async fn remember_spent(&self, date: String, spent: Vec<Spent>) -> Result<(), StoreError> {
        self.cross(self.inner.remember_spent(date, spent)).await
    }

    async fn forget_spent(&self, date: String, limit: u32) -> Result<u32, StoreError> {
        self.cross(self.inner.forget_spent(date, limit)).await
    }
}
