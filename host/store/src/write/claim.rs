//! Handing out jobs.

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::Job,
    lifecycle::{self, Event},
    ports::store::{Claim, Claimed, Claims},
    run::Run,
    state::State,
};
use serde::Serialize;

use super::{candidates, gates::Gates, overdue, park};
use crate::{
    fault::{Fault, rows},
    row::Held,
    transaction::Transaction,
    transition::{self, to_json},
};

/// Rounds in which one command parks jobs or sets them aside before it lets others have their turn.
const ROUNDS_MAX: u32 = 16;

/// Claims the best-ranked jobs of a class that nothing keeps back: never more than it has free slots,
/// which are rows.
pub(crate) async fn best(tx: &mut Transaction<'_>, claim: &Claim) -> Result<Claims, Fault> {
    let mut gates = Gates::read(tx, claim.at).await?;
    if let Some(until) = gates.class_paused(claim) {
        tx.bells.served(&claim.class);
        return Ok(Claims { next_at: until, ..Claims::default() });
    }
    let (mut claimed, mut missed) = (Vec::new(), 0);
    for _ in 0..ROUNDS_MAX {
        let wanted = usize::try_from(claim.limit).unwrap_or(usize::MAX) - claimed.len();
        let closed = to_json(&gates.closed(claim.at))?;
        let (found, held) = candidates::best(tx, claim, wanted, &closed).await?;
        let (held, late) = overdue::sort_out(tx, held, claim.at).await?;
        missed += late;
        let (run, places, wait) = park::sort(tx, gates.admit(held, claim.at)).await?;
        // Whatever was found and does not run left its slot to others.
        let no_more = found == run.len();
        park::park(tx, wait, claim.at).await?;
        if !run.is_empty() {
            let new = take(tx, run, claim).await?;
            park::take(tx, &places).await?;
            gates.take(tx, &new, claim.at).await?;
            claimed.extend(new);
        }
        if no_more {
            tx.bells.served(&claim.class);
            return Ok(Claims { claimed, next_at: gates.next_at(claim.at), missed });
        }
    }
    tx.bells.class(&claim.class);
    Ok(Claims { claimed, next_at: None, missed })
}

/// Claims this job, if it is queued and a slot of its class is free.
pub(crate) async fn one(
    tx: &mut Transaction<'_>,
    id: JobId,
    at: Millis,
    lease_until: Millis,
) -> Result<Option<Run>, Fault> {
    let row = sqlx::query(sql!("job/to_begin"))
        .bind(id.to_string())
        .fetch_optional(tx.connection().await?)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let held = Held::read(&row)?;
    let claim = Claim { class: held.job.class.clone(), limit: 1, at, lease_until, prefer: None };
    Ok(take(tx, vec![held], &claim).await?.pop().map(|claimed| claimed.run))
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
        let postponements = run.token - i64::from(next.attempt) - held.retry_token;
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
    let beginnings = to_json(&claimed.iter().map(begin).collect::<Vec<_>>())?;
    let events = to_json(&claimed.iter().map(event).collect::<Vec<_>>())?;
    let (class, lease_until) = (claim.class.0.as_str(), claim.lease_until.0);
    let script = script!["job/claim", "slot/take", "attempt/open", "job_event/append"];
    let ran = tx
        .run(script, |query| query.bind(beginnings).bind(events).bind(class).bind(lease_until))
        .await?;
    let count = u64::try_from(claimed.len()).unwrap_or(u64::MAX);
    for (n, table) in ["job", "slot", "attempt", "job_event"].into_iter().enumerate() {
        rows(table, ran.touched(n), count)?;
    }
    claimed.iter().for_each(|one| tx.bells.job(one.job.id));
    Ok(claimed)
}
