//! What was spent of the token budgets.

use roughneck_jobs::budget::Spent;
use serde::Serialize;

use crate::{fault::Fault, transaction::Transaction, transition::to_json};

/// As `budget_spent/remember` reads it.
#[derive(Serialize)]
struct Written<'a> {
    scope: &'a str,
    subject: &'a str,
    tokens: i64,
}

impl<'a> Written<'a> {
    fn of(spent: &'a Spent) -> Self {
        let tokens = i64::try_from(spent.tokens).unwrap_or(i64::MAX);
        Self { scope: spent.whose.scope(), subject: spent.whose.subject(), tokens }
    }
}

/// Writes down what was spent on a day until now.
pub(crate) async fn remember(
    tx: &mut Transaction<'_>,
    date: &str,
    spent: &[Spent],
) -> Result<(), Fault> {
    sqlx::query(sql!("budget_spent/remember"))
        .bind(date)
        .bind(to_json(&spent.iter().map(Written::of).collect::<Vec<_>>())?)
        .execute(tx.connection().await?)
        .await?;
    Ok(())
}

/// Forgets what was spent before a day, up to `limit` rows of it. Returns how many.
pub(crate) async fn forget(tx: &mut Transaction<'_>, date: &str, limit: u32) -> Result<u32, Fault> {
    let forgotten = sqlx::query(sql!("budget_spent/forget"))
        .bind(date)
        .bind(limit)
        .execute(tx.connection().await?)
        .await?;
    Ok(u32::try_from(forgotten.rows_affected()).unwrap_or(u32::MAX))
}
