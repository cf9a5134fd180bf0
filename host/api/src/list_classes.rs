//! `GET /classes`: what jobs compete for, how much of it is in use, and how much waits.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use roughneck_jobs::{class::Slots, pause::Scope, ports::store::Count, state};
use serde::Serialize;

use crate::{App, pause_view::PauseView, problem::Problem, query::NoParameters};

#[derive(Serialize)]
struct Answer {
    classes: Vec<ClassView>,
}

#[derive(Serialize)]
struct ClassView {
    name: String,
    /// How many of its jobs may run at once.
    slots: u32,
    /// Jobs that hold a slot.
    running: u64,
    queued: u64,
    scheduled: u64,
    blocked: u64,
    paused: Option<PauseView>,
}

pub(crate) async fn list_classes(
    _: NoParameters,
    State(app): State<Arc<App>>,
) -> Result<impl IntoResponse, Problem> {
    let ports = &app.ports;
    let (counts, pauses) = (ports.store.counts().await?, ports.store.pauses().await?);
    let now = ports.clock.now();
    let view = |Slots { class, count }: &Slots| {
        let jobs = |is_meant: fn(state::State) -> bool| sum(&counts, &class.0, is_meant);
        ClassView {
            name: class.0.clone(),
            slots: *count,
            running: jobs(state::State::is_running),
            queued: jobs(|state| state == state::State::Queued),
            scheduled: jobs(|state| state == state::State::Scheduled),
            blocked: jobs(|state| state == state::State::Blocked),
            paused: PauseView::of(&Scope::Class(class.0.clone()), &pauses, now),
        }
    };
    Ok(Json(Answer { classes: app.settings.slots.iter().map(view).collect() }))
}

fn sum(counts: &[Count], class: &str, is_meant: fn(state::State) -> bool) -> u64 {
    let meant = counts.iter().filter(|count| count.class.0 == class && is_meant(count.state));
    meant.map(|count| count.jobs).sum()
}
