//! Jobs that nobody waits for any more.

use roughneck_jobs::{class::Class, clock::Millis, lifecycle::Event, state::State, step::Step};
use sqlx::Row as _;

use super::set_aside;
use crate::{fault::Fault, moved::Moved, row::Held, transaction::Transaction, transition};

/// Cancels jobs of a class that are queued or run. Returns how many.
pub(crate) async fn all(
    tx: &mut Transaction<'_>,
    class: &Class,
    reason: &str,
    at: Millis,
    limit: u32,
) -> Result<u32, Fault> {
    let rows = sqlx::query(sql!("job/list_open_of_class"))
        .bind(&class.0)
        .bind(limit)
        .fetch_all(tx.connection().await?)
        .await?;
    let (mut moved, mut aside) = (Vec::with_capacity(rows.len()), 0);
    for row in &rows {
        match Held::read(row) {
            Ok(held) => moved.push(Moved::by(Step::because(Event::Cancelled, at, reason), held)?),
            Err(error) if row.try_get::<String, _>("state")? == State::Queued.as_str() => {
                set_aside::job(tx, row, at, &error).await?;
                aside += 1;
            }
            // Its run must be taken back first.
            Err(error) => tracing::error!(%error, "a job of class {class} cannot be read"),
        }
    }
    transition::write(tx, &moved).await?;
    Ok(u32::try_from(moved.len() + aside).unwrap_or(u32::MAX))
}
