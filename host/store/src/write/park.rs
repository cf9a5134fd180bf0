//! Jobs whose concurrency key is taken: they wait without a slot and out of the way.
//!
//! Whenever a job that may have stood for its key (it ran, or was queued) does so no more, the best
//! of those that are parked is queued in its place. Should the key be taken again by the time it is
//! claimed, it is parked again.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{clock::Millis, id::JobId, lifecycle::Event, state::State, step::Step};
use serde::Serialize;
use sqlx::Row as _;

use crate::{
    fault::{Fault, rows},
    moved::Moved,
    row::Held,
    transaction::Transaction,
    transition::{self, to_json},
};

/// A place of a key.
#[derive(Serialize)]
pub(super) struct Place {
    key: String,
    n: u32,
    job: JobId,
    token: i64,
}

/// Finds a place for each of the jobs that has a key, in their order. Returns those that may run, with
/// the places they are to take, and those that must wait.
pub(super) async fn sort(
    tx: &mut Transaction<'_>,
    held: Vec<Held>,
) -> Result<(Vec<Held>, Vec<Place>, Vec<Held>), Fault> {
    let keys: BTreeSet<&str> =
        held.iter().filter_map(|one| Some(&*one.concurrency.as_ref()?.key)).collect();
    if keys.is_empty() {
        return Ok((held, Vec::new(), Vec::new()));
    }
    let mut taken = taken(tx, &keys).await?;
    let (mut run, mut places, mut wait) = (Vec::new(), Vec::new(), Vec::new());
    for one in held {
        let Some(concurrency) = &one.concurrency else {
            run.push(one);
            continue;
        };
        let of_key = taken.entry(concurrency.key.clone()).or_default();
        match (1..=concurrency.limit).find(|n| !of_key.contains(n)) {
            Some(n) => {
                of_key.insert(n);
                let (key, job) = (concurrency.key.clone(), one.job.id);
                places.push(Place { key, n, job, token: one.token + 1 });
                run.push(one);
            }
            None => wait.push(one),
        }
    }
    Ok((run, places, wait))
}

async fn taken(
    tx: &mut Transaction<'_>,
    keys: &BTreeSet<&str>,
) -> Result<BTreeMap<String, BTreeSet<u32>>, Fault> {
    let rows = sqlx::query(sql!("hold/taken"))
        .bind(to_json(keys)?)
        .fetch_all(tx.connection().await?)
        .await?;
    let mut taken: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for row in &rows {
        taken.entry(row.try_get("key")?).or_default().insert(row.try_get("n")?);
    }
    Ok(taken)
}

/// Takes the places of jobs that were claimed.
pub(super) async fn take(tx: &mut Transaction<'_>, places: &[Place]) -> Result<(), Fault> {
    if places.is_empty() {
        return Ok(());
    }
    let taken = sqlx::query(sql!("hold/take"))
        .bind(to_json(places)?)
        .execute(tx.connection().await?)
        .await?;
    rows("hold", taken.rows_affected(), u64::try_from(places.len()).unwrap_or(u64::MAX))
}

/// Parks jobs until a place of their key is free.
pub(super) async fn park(
    tx: &mut Transaction<'_>,
    wait: Vec<Held>,
    at: Millis,
) -> Result<(), Fault> {
    if wait.is_empty() {
        return Ok(());
    }
    let park = |held: Held| {
        let limit = held.concurrency.as_ref().map_or(1, |concurrency| concurrency.limit);
        let reason = match limit {
            1 => "another job of its concurrency key runs".to_owned(),
            limit => format!("{limit} other jobs of its concurrency key run"),
        };
        Moved::by(Step::because(Event::Parked, at, &reason), held)
    };
    let moved = wait.into_iter().map(park).collect::<Result<Vec<_>, _>>()?;
    transition::write(tx, &moved).await
}

/// A run that has ended, as `hold/give_back` reads it.
#[derive(Serialize)]
struct Ended {
    job: JobId,
    run: i64,
}

/// Gives the places of jobs that have moved back, and queues those that waited for them.
pub(crate) async fn make_room(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    let keyed: Vec<&Moved> = moved.iter().filter(|one| one.concurrency.is_some()).collect();
    let ended: Vec<Ended> = keyed
        .iter()
        .filter(|one| one.outcome.is_some())
        .map(|one| Ended { job: one.job.id, run: one.token })
        .collect();
    if !ended.is_empty() {
        let freed = sqlx::query(sql!("hold/give_back"))
            .bind(to_json(&ended)?)
            .execute(tx.connection().await?)
            .await?;
        rows("hold", freed.rows_affected(), u64::try_from(ended.len()).unwrap_or(u64::MAX))?;
    }
    let left = keyed.iter().filter(|one| leaves_its_key(one));
    let keys: BTreeSet<&str> =
        left.filter_map(|one| Some(&*one.concurrency.as_ref()?.key)).collect();
    match keyed.first() {
        Some(first) if !keys.is_empty() => unpark(tx, &keys, first.step.at).await,
        Some(_) | None => Ok(()),
    }
}

/// Whether the job stands for its key no more. One that is queued again does.
fn leaves_its_key(moved: &Moved) -> bool {
    match moved.job.state {
        State::Queued | State::Loading | State::Working => false,
        State::Blocked => moved.step.event != Event::Parked,
        State::Scheduled | State::Done | State::Failed | State::Cancelled => true,
    }
}

async fn unpark(tx: &mut Transaction<'_>, keys: &BTreeSet<&str>, at: Millis) -> Result<(), Fault> {
    let ids: Vec<String> = sqlx::query_scalar(sql!("job/parked"))
        .bind(to_json(keys)?)
        .fetch_all(tx.connection().await?)
        .await?;
    let mut moved = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if let Some(held) = super::job(tx, id).await? {
            moved.push(Moved::by(Step::new(Event::Unparked, at), held)?);
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    // They are queued now, which makes no more room: the second round is the last.
    Box::pin(transition::write(tx, &moved)).await
}
