//! The jobs that a claim takes next.

use std::collections::BTreeMap;

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    ports::store::Claim,
    preference::{Candidate, Preference},
};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::set_aside;
use crate::{fault::Fault, row::Held, transaction::Transaction, transition::to_json};

/// How many jobs come next, and those of them that can be read, in their order.
pub(super) async fn best(
    tx: &mut Transaction<'_>,
    claim: &Claim,
    wanted: usize,
    closed: &str,
) -> Result<(usize, Vec<Held>), Fault> {
    let (class, wanted) = (claim.class.0.as_str(), i64::try_from(wanted).unwrap_or(i64::MAX));
    let rows = tx
        .run(script!["job/best"], |query| query.bind(class).bind(wanted).bind(closed))
        .await?
        .rows;
    let best = read(tx, &rows, claim.at).await?;
    let held = match &claim.prefer {
        Some(preference) => prefer(tx, best, preference, (claim, closed)).await?,
        None => best.into_iter().map(|one| one.held).collect(),
    };
    Ok((rows.len(), held))
}

/// A job that can be read.
struct Ready {
    held: Held,
    /// The model it will ask for, if that is known.
    model: Option<String>,
}

impl Ready {
    fn candidate(&self) -> Candidate {
        let job = &self.held.job;
        Candidate { id: job.id, model: self.model.clone(), priority: job.priority }
    }
}

async fn read(
    tx: &mut Transaction<'_>,
    rows: &[SqliteRow],
    at: Millis,
) -> Result<Vec<Ready>, Fault> {
    let mut ready = Vec::with_capacity(rows.len());
    for row in rows {
        match Held::read(row) {
            Ok(held) => ready.push(Ready { held, model: row.try_get("model")? }),
            // Its slot is for the next one.
            Err(error) => set_aside::job(tx, row, at, &error).await?,
        }
    }
    Ok(ready)
}

/// Lets jobs of the preferred model go before others, where the preference says so.
async fn prefer(
    tx: &mut Transaction<'_>,
    best: Vec<Ready>,
    preference: &Preference,
    (claim, closed): (&Claim, &str),
) -> Result<Vec<Held>, Fault> {
    let candidates = |ready: &[Ready]| ready.iter().map(Ready::candidate).collect::<Vec<_>>();
    let overall = candidates(&best);
    let yields = overall.iter().all(|one| preference.yields_to(one, claim.at));
    let preferred =
        if yields { Vec::new() } else { of_models(tx, preference, (claim, closed)).await? };
    let order = preference.order(&overall, &candidates(&preferred), claim.at);
    let all = best.into_iter().chain(preferred).map(|one| (one.held.job.id, one.held));
    let mut all: BTreeMap<JobId, Held> = all.collect();
    Ok(order.iter().filter_map(|id| all.remove(id)).collect())
}

/// The best-ranked jobs of the preferred model.
async fn of_models(
    tx: &mut Transaction<'_>,
    preference: &Preference,
    (claim, closed): (&Claim, &str),
) -> Result<Vec<Ready>, Fault> {
    let rows = sqlx::query(sql!("job/best_of_models"))
        .bind(&claim.class.0)
        .bind(claim.limit)
        .bind(closed)
        .bind(to_json(&preference.models)?)
        .fetch_all(tx.connection().await?)
        .await?;
    read(tx, &rows, claim.at).await
}
