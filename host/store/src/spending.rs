//! The memory of the token budgets: [`Spending`] on SQLite.

use async_trait::async_trait;
use roughneck_jobs::{
    budget::{Spent, Whose},
    ports::{spending::Spending, store::StoreError},
};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{SqliteStore, command::Command, fault::Fault};

#[async_trait]
impl Spending for SqliteStore {
    async fn spent_on(&self, date: &str) -> Result<Vec<Spent>, StoreError> {
        self.read_spent(date).await.map_err(|fault| fault.told("read what was spent"))
    }

    async fn remember_spent(&self, date: String, spent: Vec<Spent>) -> Result<(), StoreError> {
        self.ask(|reply| Command::RememberSpent { date, spent, reply }).await
    }

    async fn forget_spent(&self, date: String, limit: u32) -> Result<u32, StoreError> {
        self.ask(|reply| Command::ForgetSpent { date, limit, reply }).await
    }
}

impl SqliteStore {
    async fn read_spent(&self, date: &str) -> Result<Vec<Spent>, Fault> {
        let rows = sqlx::query(sql!("budget_spent/list")).bind(date);
        let rows = rows.fetch_all(&self.readers).await?;
        let read = rows.iter().map(spent).collect::<Result<Vec<_>, sqlx::Error>>()?;
        Ok(read.into_iter().flatten().collect())
    }
}

/// None for a scope that a newer host has written.
fn spent(row: &SqliteRow) -> Result<Option<Spent>, sqlx::Error> {
    let (scope, subject): (String, String) = (row.try_get("scope")?, row.try_get("subject")?);
    let tokens: i64 = row.try_get("tokens")?;
    let tokens = u64::try_from(tokens).unwrap_or(0);
    Ok(Whose::read(&scope, subject).map(|whose| Spent { whose, tokens }))
}
