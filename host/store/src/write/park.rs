//! Jobs whose concurrency key is taken: they wait without a slot and out of the way.
//!
//! Whenever jobs that stood for their key (they ran, or were queued) do so no more, as many of those that are
//! parked are queued in their place, the best first. Should the key be taken again by the time one is claimed,
//! it is parked again.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    clock::Millis, id::JobId, input_key::ConcurrencyKey, lifecycle::Event, state::State, step::Step,
};
use serde::Serialize;
use sqlx::Row as _;

use super::set_aside;
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

/// Gives the places of jobs that have moved back, and queues as many of those that waited for them.
pub(crate) async fn make_room(tx: &mut Transaction<'_>, moved: &[Moved]) -> Result<(), Fault> {
    let keyed: Vec<&Moved> = moved.iter().filter(|one| one.concurrency.is_some()).collect();
    let Some(at) = keyed.first().map(|one| one.step.at) else { return Ok(()) };
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
    let mut wanted = Wanted::new();
    for ConcurrencyKey { key, limit } in
        keyed.iter().filter(|one| leaves_its_key(one)).filter_map(|one| one.concurrency.as_ref())
    {
        // More than a key has places could not run, and would only be parked again.
        let jobs = wanted.entry(key.clone()).or_default();
        if *jobs < *limit {
            *jobs += 1;
        }
    }
    unpark(tx, wanted, at).await
}

/// Queues one that waits for this key: a job that was queued stands for it no more.
pub(super) async fn make_room_of(
    tx: &mut Transaction<'_>,
    key: String,
    at: Millis,
) -> Result<(), Fault> {
    unpark(tx, Wanted::from([(key, 1)]), at).await
}

/// Whether the job stood for its key and does so no more. One that is queued again does; one that is parked
/// found the key taken.
fn leaves_its_key(moved: &Moved) -> bool {
    let stands = |state: State| state == State::Queued || state.is_running();
    stands(moved.from) && !stands(moved.job.state) && moved.step.event != Event::Parked
}

/// How many jobs of each key are to be queued.
type Wanted = BTreeMap<String, u32>;

/// Queues the best of those that are parked. One that cannot be read is set aside, and the next one goes in its
/// place: it must not keep whoever makes room for it from ending.
async fn unpark(tx: &mut Transaction<'_>, mut wanted: Wanted, at: Millis) -> Result<(), Fault> {
    while let Some(most) = wanted.values().max() {
        let pairs: Vec<(&String, &u32)> = wanted.iter().collect();
        let parked = sqlx::query(sql!("job/parked"))
            .bind(to_json(&pairs)?)
            .bind(*most)
            .fetch_all(tx.connection().await?)
            .await?;
        let (mut moved, mut unreadable) = (Vec::with_capacity(parked.len()), Vec::new());
        for row in &parked {
            match Held::read(row) {
                Ok(held) => moved.push(Moved::by(Step::new(Event::Unparked, at), held)?),
                Err(error) => unreadable.push((row, error)),
            }
        }
        // They are queued now, which makes no more room.
        Box::pin(transition::write(tx, &moved)).await?;
        wanted.clear();
        for (row, error) in unreadable {
            *wanted.entry(row.try_get("concurrency_key")?).or_default() += 1;
            Box::pin(set_aside::job(tx, row, at, &error)).await?;
        }
    }
    Ok(())
}
