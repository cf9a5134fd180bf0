//! Handing out jobs.

use std::collections::HashMap;

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    lifecycle::{self, Event},
    ports::store::{Claim, Claimed},
    run::Run,
    state::State,
};
use serde::Serialize;
use sqlx::Row as _;

use super::set_aside;
use crate::{
    fault::{Fault, rows},
    row::{self, Held},
    transaction::Transaction,
    transition::{self, to_json},
};

/// Claims the best-ranked jobs of a class: never more than it has free slots, which are rows.
pub(crate) async fn best(tx: &mut Transaction<'_>, claim: &Claim) -> Result<Vec<Claimed>, Fault> {
    let mut claimed = Vec::new();
    loop {
        let wanted = usize::try_from(claim.limit).unwrap_or(usize::MAX) - claimed.len();
        let rows = sqlx::query(sql!("job/best"))
            .bind(&claim.class.0)
            .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
            .fetch_all(&mut *tx.connection)
            .await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            match Held::read(row) {
                Ok(one) => held.push(one),
                // Its slot is for the next one.
                Err(error) => set_aside::job(tx, row, claim.at, &error).await?,
            }
        }
        let all_read = held.len() == rows.len();
        if !held.is_empty() {
            claimed.extend(take(tx, held, claim).await?);
        }
        if all_read {
            return Ok(claimed);
        }
    }
}

/// A run that begins, as `job/claim`, `slot/take` and `attempt/open` read it.
#[derive(Serialize)]
struct Beginning {
    id: JobId,
    token: i64,
    attempt: u32,
    at_ms: Millis,
    state: State,
}

/// Gives each of the jobs a free slot and a run. There are as many free slots.
async fn take(
    tx: &mut Transaction<'_>,
    held: Vec<Held>,
    claim: &Claim,
) -> Result<Vec<Claimed>, Fault> {
    let mut claimed = Vec::with_capacity(held.len());
    for held in held {
        let next = lifecycle::advance(&held.progress(), Event::Claimed)?;
        let Held { mut job, token } = held;
        job.state = next.state;
        job.attempt = next.attempt;
        job.started_at = Some(claim.at);
        job.reason = None;
        let run = Run { job: job.id, token: token + 1 };
        claimed.push(Claimed { job, run, postponements: 0 });
    }
    let begin = |one: &Claimed| Beginning {
        id: one.job.id,
        token: one.run.token,
        attempt: one.job.attempt,
        at_ms: claim.at,
        state: one.job.state,
    };
    let runs = to_json(&claimed.iter().map(begin).collect::<Vec<_>>())?;
    let postponements = claim_rows(tx, &runs, claim).await?;
    for one in &mut claimed {
        one.postponements = postponements.get(&one.job.id).copied().unwrap_or(0);
    }
    let count = u64::try_from(claimed.len()).unwrap_or(u64::MAX);
    rows("job", u64::try_from(postponements.len()).unwrap_or(u64::MAX), count)?;
    let taken = sqlx::query(sql!("slot/take"))
        .bind(&claim.class.0)
        .bind(&runs)
        .execute(&mut *tx.connection)
        .await?;
    rows("slot", taken.rows_affected(), count)?;
    let opened = sqlx::query(sql!("attempt/open")).bind(&runs).execute(&mut *tx.connection).await?;
    rows("attempt", opened.rows_affected(), count)?;
    let event = |one: &Claimed| transition::Event {
        job: one.job.id,
        at_ms: claim.at,
        state: one.job.state,
        attempt: one.job.attempt,
        reason: None,
    };
    transition::append_events(tx, claimed.iter().map(event).collect()).await?;
    claimed.iter().for_each(|one| tx.bells.job(one.job.id));
    Ok(claimed)
}

/// Writes the claims, and returns for each job the runs before this one that were no attempts.
async fn claim_rows(
    tx: &mut Transaction<'_>,
    runs: &str,
    claim: &Claim,
) -> Result<HashMap<JobId, u32>, Fault> {
    let written = sqlx::query(sql!("job/claim"))
        .bind(runs)
        .bind(claim.lease_until.0)
        .fetch_all(&mut *tx.connection)
        .await?;
    let read = |written: &sqlx::sqlite::SqliteRow| {
        let postponements: i64 = written.try_get("postponements")?;
        Ok((row::text(written, "id")?, u32::try_from(postponements).unwrap_or(0)))
    };
    Ok(written.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}
