//! The memory of the token budgets.

use async_trait::async_trait;
use roughneck_jobs::{
    budget::Spent,
    ports::{spending::Spending, store::StoreError},
};

use crate::Memory;

#[async_trait]
impl Spending for Memory {
    async fn spent_on(&self, date: &str) -> Result<Vec<Spent>, StoreError> {
        let tables = self.tables();
        let of_day = tables.spent.iter().filter(|((day, _), _)| day == date);
        Ok(of_day
            .map(|((_, whose), tokens)| Spent { whose: whose.clone(), tokens: *tokens })
            .collect())
    }

    async fn remember_spent(&self, date: String, spent: Vec<Spent>) -> Result<(), StoreError> {
        self.write(|tables| {
            for Spent { whose, tokens } in spent {
                let before = tables.spent.entry((date.clone(), whose)).or_default();
                *before = tokens.max(*before);
            }
            Ok(())
        })
    }

    async fn forget_spent(&self, date: String, limit: u32) -> Result<u32, StoreError> {
        self.write(|tables| {
            let old = tables.spent.keys().filter(|(day, _)| *day < date);
            let old: Vec<_> = old.take(limit as usize).cloned().collect();
            tables.spent.retain(|key, _| !old.contains(key));
            Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
        })
    }
}
