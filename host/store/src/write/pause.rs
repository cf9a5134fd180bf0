//! Pausing classes and kinds, and the rate limits of kinds.

use roughneck_jobs::{
    pause::{Pause, Scope},
    rate::Rate,
};
use serde_json::{Value, json};

use crate::{
    fault::{Fault, one_row},
    transaction::Transaction,
};

/// Pauses a class or a kind.
pub(crate) async fn begin(tx: &mut Transaction<'_>, pause: &Pause) -> Result<(), Fault> {
    tx.memory.no_gates_from = None;
    let paused = sqlx::query(sql!("pause/set"))
        .bind(pause.scope.noun())
        .bind(pause.scope.name())
        .bind(pause.since.0)
        .bind(pause.until.map(|until| until.0))
        .bind(&pause.reason)
        .execute(tx.connection().await?)
        .await?;
    one_row("pause", paused.rows_affected())
}

/// Ends a pause. False if there was none.
pub(crate) async fn end(tx: &mut Transaction<'_>, scope: &Scope) -> Result<bool, Fault> {
    let ended = sqlx::query(sql!("pause/end"))
        .bind(scope.noun())
        .bind(scope.name())
        .execute(tx.connection().await?)
        .await?;
    // Whoever has jobs of it looks again: which classes a kind has jobs of, nobody wrote down.
    let classes: Vec<String> =
        sqlx::query_scalar(sql!("class/list")).fetch_all(tx.connection().await?).await?;
    for class in classes {
        tx.bells.class(&roughneck_jobs::class::Class(class));
    }
    Ok(ended.rows_affected() > 0)
}

/// Makes the kinds have these limits, and the others none.
pub(crate) async fn rates(tx: &mut Transaction<'_>, rates: &[(String, Rate)]) -> Result<(), Fault> {
    tx.memory.no_gates_from = None;
    let kinds: Value = rates.iter().map(|(kind, _)| json!(kind)).collect();
    let rows: Value = rates
        .iter()
        .map(|(kind, rate)| json!({ "kind": kind, "count": rate.count, "per_ms": rate.per_ms }))
        .collect();
    sqlx::query(sql!("rate/drop_others"))
        .bind(kinds.to_string())
        .execute(tx.connection().await?)
        .await?;
    sqlx::query(sql!("rate/set")).bind(rows.to_string()).execute(tx.connection().await?).await?;
    Ok(())
}
