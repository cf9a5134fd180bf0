//! Handing out jobs.

use roughneck_jobs::{
    lifecycle::{self, Event},
    ports::store::{Claim, Claimed},
};
use sqlx::Row as _;

use super::set_aside;
use crate::{
    fault::{Fault, one_row},
    row::Held,
    transaction::Transaction,
    transition,
};

/// Claims the best-ranked jobs of a class: never more than it has free slots, which are rows.
pub(crate) async fn best(tx: &mut Transaction<'_>, claim: &Claim) -> Result<Vec<Claimed>, Fault> {
    let free: Vec<i64> = sqlx::query_scalar(sql!("slot/free"))
        .bind(&claim.class.0)
        .bind(claim.limit)
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut slots = free.into_iter();
    let mut claimed = Vec::with_capacity(slots.len());
    while slots.len() > 0 {
        let wanted = slots.len();
        let rows = sqlx::query(sql!("job/best"))
            .bind(&claim.class.0)
            .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
            .fetch_all(&mut *tx.connection)
            .await?;
        for row in &rows {
            match Held::read(row) {
                Ok(held) => match slots.next() {
                    Some(slot) => claimed.push(one(tx, held, claim, slot).await?),
                    None => break,
                },
                // Its slot is for the next one.
                Err(error) => set_aside::job(tx, row, claim.at, &error).await?,
            }
        }
        if rows.len() < wanted {
            break;
        }
    }
    Ok(claimed)
}

async fn one(
    tx: &mut Transaction<'_>,
    mut held: Held,
    claim: &Claim,
    slot: i64,
) -> Result<Claimed, Fault> {
    let next = lifecycle::advance(&held.progress(), Event::Claimed)?;
    let id = held.job.id.to_string();
    let row = sqlx::query(sql!("job/claim"))
        .bind(&id)
        .bind(next.state.as_str())
        .bind(next.attempt)
        .bind(claim.lease_until.0)
        .bind(claim.at.0)
        .fetch_one(&mut *tx.connection)
        .await?;
    held.token = row.try_get("token")?;
    let postponements: i64 = row.try_get("postponements")?;
    held.job.state = next.state;
    held.job.attempt = next.attempt;
    held.job.started_at = Some(claim.at);
    held.job.reason = None;
    let taken = sqlx::query(sql!("slot/take"))
        .bind(&claim.class.0)
        .bind(slot)
        .bind(&id)
        .bind(held.token)
        .execute(&mut *tx.connection)
        .await?;
    one_row("slot", taken.rows_affected())?;
    let opened = sqlx::query(sql!("attempt/open"))
        .bind(&id)
        .bind(held.token)
        .bind(next.attempt)
        .bind(claim.at.0)
        .execute(&mut *tx.connection)
        .await?;
    one_row("attempt", opened.rows_affected())?;
    transition::append_event(tx, &held.job, claim.at, next.attempt).await?;
    tx.bells.job(held.job.id);
    let postponements = u32::try_from(postponements).unwrap_or(0);
    Ok(Claimed { run: held.run(), job: held.job, postponements })
}
