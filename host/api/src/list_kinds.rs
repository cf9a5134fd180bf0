//! `GET /kinds`: what can be run, by which plugin, and what keeps its jobs back.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use roughneck_jobs::{manifest::Kind, pause::Scope};
use serde::Serialize;

use crate::{App, pause_view::PauseView, problem::Problem, query::NoParameters};

#[derive(Serialize)]
struct Answer {
    kinds: Vec<KindView>,
}

#[derive(Serialize)]
struct KindView {
    name: String,
    plugin: String,
    class: String,
    description: String,
    /// How many of its jobs may begin in a while.
    rate: Option<RateView>,
    /// How many of one key may run at once.
    concurrency: Option<u32>,
    paused: Option<PauseView>,
}

#[derive(Serialize)]
struct RateView {
    count: u32,
    per_ms: u64,
}

pub(crate) async fn list_kinds(
    _: NoParameters,
    State(app): State<Arc<App>>,
) -> Result<impl IntoResponse, Problem> {
    let ports = &app.ports;
    let (pauses, now) = (ports.store.pauses().await?, ports.clock.now());
    let view = |plugin: &str, kind: &Kind| KindView {
        name: kind.name.clone(),
        plugin: plugin.to_owned(),
        class: kind.class.0.clone(),
        description: kind.description.clone(),
        rate: kind.rate.map(|rate| RateView { count: rate.count, per_ms: rate.per_ms }),
        concurrency: kind.concurrency.as_ref().map(|concurrency| concurrency.limit),
        paused: PauseView::of(&Scope::Kind(kind.name.clone()), &pauses, now),
    };
    let mut kinds = Vec::new();
    for plugin in ports.catalog.plugins() {
        let manifest = &plugin.manifest;
        kinds.extend(manifest.kinds.iter().map(|kind| view(&manifest.name, kind)));
    }
    kinds.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(Answer { kinds }))
}
