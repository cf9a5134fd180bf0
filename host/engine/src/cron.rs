//! Fires schedules: those of the installed plugins and those that were made over HTTP.

use std::{borrow::Cow, sync::Arc, time::Duration};

use roughneck_jobs::{
    causes::Causes,
    clock::Millis,
    intake,
    job::NewJob,
    ports::{
        catalog::Served,
        schedules::{Settled, Settlement},
        store::StoreError,
    },
    schedule::{Due, Kept, Known, Origin, Spec, known},
};
use tracing::{error, info, warn};

use crate::{
    pause::{AFTER_ERROR, LOOK_AGAIN, until},
    placing::Patience,
    shared::Shared,
};

/// With `missed = "skip"`, a fire that is at most this late still runs: the loop itself may be late.
const GRACE_MS: u64 = 60_000;

/// A look at all schedules.
#[derive(Clone, Copy)]
struct Look {
    /// The last look that left nothing undone; the present one if there was none.
    last: Millis,
    now: Millis,
}

pub(crate) async fn serve(shared: Arc<Shared>) {
    let clock = &shared.parts.clock;
    let mut last = clock.now();
    loop {
        let looked = fire_all(&shared, last).await;
        let pause = until(looked.next_at, clock.now()).min(looked.pause_max);
        last = looked.whole_at.unwrap_or(last);
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.parts.bells.schedules.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What a look came to.
struct Looked {
    next_at: Option<Millis>,
    /// When it was, if it left nothing undone.
    whole_at: Option<Millis>,
    /// How soon what was left undone is tried again.
    pause_max: Duration,
}

async fn fire_all(shared: &Shared, last: Millis) -> Looked {
    let kept = match shared.parts.schedules.schedules().await {
        Ok(kept) => kept,
        Err(error) => {
            error!(error = %Causes(&error), "the schedules could not be read; trying again");
            return Looked { next_at: None, whole_at: None, pause_max: AFTER_ERROR };
        }
    };
    // Not before they are read: no mark lies in the future, unless the clock was set back.
    let now = shared.parts.clock.now();
    let look = Look { last: last.min(now), now };
    // One for all: a thousand schedules that fire at midnight must not wait one after the other.
    let mut patience = Patience::default();
    let mut looked = Looked { next_at: None, whole_at: Some(now), pause_max: LOOK_AGAIN };
    for known in known::all(&shared.parts.catalog.plugins(), kept) {
        match fire(shared, &known, look, &mut patience).await {
            Ok(next) => looked.next_at = [looked.next_at, next].into_iter().flatten().min(),
            // Its fires are not handled, as if the host were down: what is missed then follows the
            // schedule's policy.
            Err(StoreError::Full(passed)) => {
                let id = known.spec.id;
                warn!(schedule = id, "schedule {id} waits: {passed}");
                looked.whole_at = None;
            }
            Err(error) => {
                // One schedule's trouble must not stop the others.
                let id = known.spec.id;
                error!(schedule = id, error = %Causes(&error), "schedule {id} could not fire; trying again");
                looked.whole_at = None;
                looked.pause_max = AFTER_ERROR;
            }
        }
    }
    looked
}

/// Handles the fires that are due, and returns the next one.
async fn fire(
    shared: &Shared,
    known: &Known,
    look: Look,
    patience: &mut Patience,
) -> Result<Option<Millis>, StoreError> {
    // What cannot be read fires nothing; `GET /schedules` says why.
    let Ok(schedule) = &known.schedule else { return Ok(None) };
    let Some(kept) = remembered(shared, known, look.now).await? else { return Ok(None) };
    if kept.paused.is_some() {
        return Ok(None);
    }
    // A clock that once was ahead left a mark in the future. No fire is repeated by going back to
    // the last look: the store takes each once.
    let is_ahead = kept.handled_up_to > look.now;
    let from = if is_ahead { look.last } else { kept.handled_up_to };
    let due = schedule.due(from, look.now, GRACE_MS);
    if due != Due::default() {
        match settle(shared, known, &kept, due, (look.now, patience)).await? {
            Settled::Submitted(jobs) => {
                let id = &known.spec.id;
                for job in jobs {
                    info!(%job, schedule = id, "schedule {id} submitted job {job}");
                }
            }
            // It is another one by now, and is looked at anew.
            Settled::Stale => return Ok(Some(look.now)),
        }
    }
    Ok(schedule.next_after(look.now))
}

/// What is kept of a schedule. One of a manifest is remembered first, if it is new or has changed.
async fn remembered<'a>(
    shared: &Shared,
    known: &'a Known,
    now: Millis,
) -> Result<Option<Cow<'a, Kept>>, StoreError> {
    let timing = known.spec.timing();
    match (&known.origin, &known.kept) {
        (Origin::Api, kept) => Ok(kept.as_ref().map(Cow::Borrowed)),
        (Origin::Manifest { .. }, Some(kept)) if kept.timing.as_ref() == Some(&timing) => {
            Ok(Some(Cow::Borrowed(kept)))
        }
        (Origin::Manifest { .. }, Some(_) | None) => {
            let schedules = &shared.parts.schedules;
            let kept = schedules.remember_schedule(&known.spec.id, &timing, now).await?;
            Ok(Some(Cow::Owned(kept)))
        }
    }
}

async fn settle(
    shared: &Shared,
    known: &Known,
    kept: &Kept,
    due: Due,
    (now, patience): (Millis, &mut Patience),
) -> Result<Settled, StoreError> {
    let Some(spec) = whole(shared, known, kept.revision, &due).await? else {
        return Ok(Settled::Stale);
    };
    let jobs: Vec<NewJob> = match shared.parts.catalog.served(&spec.kind) {
        Some(served) => {
            let jobs = due.fires.iter().filter_map(|at| job(shared, &spec, *at, &served));
            placed(shared, jobs.collect(), patience).await
        }
        None => {
            warn!(schedule = spec.id, "schedule {} fired for a kind that is gone", spec.id);
            Vec::new()
        }
    };
    let refused = u32::try_from(due.fires.len() - jobs.len()).unwrap_or(u32::MAX);
    let settlement = Settlement {
        schedule: spec.id.clone(),
        revision: kept.revision,
        up_to: now,
        jobs,
        missed: due.missed.saturating_add(refused),
        overlap: spec.overlap,
    };
    shared.parts.schedules.settle(settlement).await
}

/// The schedule with its input, if a job needs one; none if it is not what it was at this revision.
async fn whole<'a>(
    shared: &Shared,
    known: &'a Known,
    revision: i64,
    due: &Due,
) -> Result<Option<Cow<'a, Spec>>, StoreError> {
    match known.origin {
        Origin::Api if !due.fires.is_empty() => {
            let kept = shared.parts.schedules.schedule(&known.spec.id).await?;
            let kept = kept.filter(|kept| kept.revision == revision);
            Ok(kept.and_then(|kept| kept.made).map(|made| Cow::Owned(made.spec)))
        }
        Origin::Api | Origin::Manifest { .. } => Ok(Some(Cow::Borrowed(&known.spec))),
    }
}

fn job(shared: &Shared, spec: &Spec, at: Millis, served: &Served) -> Option<NewJob> {
    let parts = &shared.parts;
    match intake::fire(spec, Some(at), served, &*parts.clock, &*parts.entropy) {
        Ok(job) => Some(job),
        Err(error) => {
            warn!(schedule = spec.id, %error, "schedule {} cannot submit its job", spec.id);
            None
        }
    }
}

/// The jobs of one schedule, which all ask for the same, where they belong.
async fn placed(shared: &Shared, jobs: Vec<NewJob>, patience: &mut Patience) -> Vec<NewJob> {
    let Some(first) = jobs.first() else { return jobs };
    match patience.model_of(shared, first).await {
        Some(model) => jobs.into_iter().map(|job| intake::placed(job, &model)).collect(),
        None => jobs,
    }
}
