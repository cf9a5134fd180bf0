//! Handing out jobs.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::Job,
    lifecycle::{self, Event},
    ports::store::{Claim, Claimed},
    run::Run,
    state::State,
};
use serde::Serialize;

use super::set_aside;
use crate::{
    fault::{Fault, rows},
    row::Held,
    script,
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
        let run = Run { job: held.job.id, token: held.token + 1 };
        let postponements = run.token - i64::from(next.attempt) - held.replay_token;
        let job = Job {
            state: next.state,
            attempt: next.attempt,
            started_at: Some(claim.at),
            reason: None,
            ..held.job
        };
        claimed.push(Claimed {
            job,
            run,
            // Runs that were given back are those that are no attempts.
            postponements: u32::try_from(postponements).unwrap_or(0),
        });
    }
    let begin = |one: &Claimed| Beginning {
        id: one.job.id,
        token: one.run.token,
        attempt: one.job.attempt,
        at_ms: claim.at,
        state: one.job.state,
    };
    let event = |one: &Claimed| transition::Event {
        job: one.job.id,
        at_ms: claim.at,
        state: one.job.state,
        attempt: one.job.attempt,
        reason: None,
        ended: None,
    };
    let query = sqlx::query(script!["job/claim", "slot/take", "attempt/open", "job_event/append"])
        .bind(to_json(&claimed.iter().map(begin).collect::<Vec<_>>())?)
        .bind(to_json(&claimed.iter().map(event).collect::<Vec<_>>())?)
        .bind(&claim.class.0)
        .bind(claim.lease_until.0);
    let ran = script::run(tx.connection, query).await?;
    let count = u64::try_from(claimed.len()).unwrap_or(u64::MAX);
    for (n, table) in ["job", "slot", "attempt", "job_event"].into_iter().enumerate() {
        rows(table, ran.touched(n), count)?;
    }
    claimed.iter().for_each(|one| tx.bells.job(one.job.id));
    Ok(claimed)
}
