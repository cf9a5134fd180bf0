//! A schedule as clients see it.

use roughneck_jobs::{
    caller::Caller,
    clock::Millis,
    id::JobId,
    json::raw,
    ports::catalog::Catalog,
    priority::Priority,
    schedule::{Known, Missed, Origin, Overlap, Schedule},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{find_schedule::address, pause_view::PauseView, view::At};

/// Fires that are shown ahead.
const NEXT_SHOWN: usize = 5;

/// One schedule. Lists leave out the input.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleView<'a> {
    id: &'a str,
    origin: &'static str,
    /// The plugin whose manifest it is in.
    plugin: Option<&'a str>,
    kind: &'a str,
    expr: &'a str,
    timezone: &'a str,
    priority: Option<Priority>,
    /// On whose token budget its jobs go.
    caller: Option<&'a Caller>,
    missed: Missed,
    missed_max: u32,
    overlap: Overlap,
    paused: Option<PauseView>,
    /// Why it fires nothing although it is not paused.
    problem: Option<TroubleView>,
    /// When it fires, or would if nothing kept it from it.
    next: Vec<NextView>,
    last_fire: Option<LastFireView>,
    fires_missed: u64,
    fires_skipped: u64,
    created_at: Option<At>,
    changed_at: Option<At>,
    links: Links,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct TroubleView {
    code: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct NextView {
    at: At,
    /// The same instant in the schedule's zone.
    local: String,
}

#[derive(Debug, Serialize)]
struct LastFireView {
    at: At,
    /// Null once it was deleted.
    job: Option<JobId>,
}

#[derive(Debug, Serialize)]
struct Links {
    #[serde(rename = "self")]
    schedule: String,
}

impl<'a> ScheduleView<'a> {
    /// What a list shows.
    pub(crate) fn summary(known: &'a Known, catalog: &dyn Catalog, now: Millis) -> Self {
        let (spec, kept) = (&known.spec, known.kept.as_ref());
        let (origin, plugin) = match &known.origin {
            Origin::Manifest { plugin } => ("manifest", Some(plugin.as_str())),
            Origin::Api => ("api", None),
        };
        let made = kept.and_then(|kept| kept.made.as_ref());
        let pause = kept.and_then(|kept| kept.paused.as_ref());
        let last_fire = kept.and_then(|kept| kept.last_fire);
        Self {
            id: &spec.id,
            origin,
            plugin,
            kind: &spec.kind,
            expr: &spec.expr,
            timezone: &spec.zone,
            priority: spec.priority,
            caller: spec.caller.as_ref(),
            missed: spec.missed,
            missed_max: spec.missed_max,
            overlap: spec.overlap,
            paused: pause.map(PauseView::from),
            problem: trouble(known, catalog),
            next: known.schedule.as_ref().map_or_else(|_| Vec::new(), |one| next(one, now)),
            last_fire: last_fire.map(|fire| LastFireView { at: At(fire.at), job: fire.job }),
            fires_missed: kept.map_or(0, |kept| kept.fires_missed),
            fires_skipped: kept.map_or(0, |kept| kept.fires_skipped),
            created_at: made.map(|made| At(made.created_at)),
            changed_at: made.map(|made| At(made.changed_at)),
            links: Links { schedule: address(&spec.id) },
            input: None,
        }
    }

    /// The schedule with its input.
    pub(crate) fn whole(known: &'a Known, catalog: &dyn Catalog, now: Millis) -> Self {
        Self { input: raw(&known.spec.input), ..Self::summary(known, catalog, now) }
    }
}

fn trouble(known: &Known, catalog: &dyn Catalog) -> Option<TroubleView> {
    if let Err(error) = &known.schedule {
        return Some(TroubleView { code: "unreadable", message: error.to_string() });
    }
    let kind = &known.spec.kind;
    catalog.served(kind).is_none().then(|| TroubleView {
        code: "kind-missing",
        message: format!(
            "no installed plugin serves the kind `{kind}`, so it fires nothing; install one, or delete the schedule"
        ),
    })
}

fn next(schedule: &Schedule, now: Millis) -> Vec<NextView> {
    let fires = schedule.fires_after(now).take(NEXT_SHOWN);
    fires.map(|at| NextView { at: At(at), local: schedule.local(at) }).collect()
}
