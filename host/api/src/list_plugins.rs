//! `GET /plugins`: what is installed, and what was refused and why.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use roughneck_jobs::{
    manifest::{Capabilities, Kind, Limits, ModelHint},
    ports::catalog::{Plugin, RefusedPlugin},
    priority::Priority,
    schedule::Schedule,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{App, query::NoParameters};

#[derive(Serialize)]
struct Plugins<'a> {
    plugins: Vec<PluginView<'a>>,
    refused: Vec<RefusedView<'a>>,
}

#[derive(Serialize)]
struct PluginView<'a> {
    name: &'a str,
    version: &'a str,
    description: &'a str,
    digest: &'a str,
    kinds: Vec<KindView<'a>>,
    capabilities: BTreeMap<&'static str, Value>,
    limits: LimitsView,
    schedules: Vec<ScheduleView<'a>>,
}

#[derive(Serialize)]
struct KindView<'a> {
    name: &'a str,
    aliases: &'a [String],
    description: &'a str,
    class: &'a str,
    priority: Priority,
    timeout_ms: u64,
    attempts_max: u32,
    model: Option<ModelView<'a>>,
}

#[derive(Serialize)]
struct ModelView<'a> {
    tag: &'a str,
    num_ctx: Option<u32>,
}

#[derive(Serialize)]
struct LimitsView {
    memory_bytes_max: u64,
    cpu_ms_max: u64,
    host_calls_max: u32,
    output_bytes_max: u64,
    log_bytes_max: u64,
    /// None: what the operator allows.
    job_tokens_max: Option<u64>,
}

#[derive(Serialize)]
struct ScheduleView<'a> {
    id: &'a str,
    kind: &'a str,
    expr: &'a str,
}

#[derive(Serialize)]
struct RefusedView<'a> {
    name: &'a str,
    code: &'a str,
    message: &'a str,
}

pub(crate) async fn list_plugins(_: NoParameters, State(app): State<Arc<App>>) -> Response {
    let plugins = app.ports.catalog.plugins();
    let refused = app.ports.catalog.refused();
    let view = Plugins {
        plugins: plugins.iter().map(|plugin| PluginView::from(plugin.as_ref())).collect(),
        refused: refused.iter().map(RefusedView::from).collect(),
    };
    Json(view).into_response()
}

impl<'a> From<&'a Plugin> for PluginView<'a> {
    fn from(plugin: &'a Plugin) -> Self {
        let manifest = &plugin.manifest;
        Self {
            name: &manifest.name,
            version: &manifest.version,
            description: &manifest.description,
            digest: &plugin.digest,
            kinds: manifest.kinds.iter().map(KindView::from).collect(),
            capabilities: wishes(&manifest.capabilities),
            limits: LimitsView::from(&manifest.limits),
            schedules: manifest
                .schedules
                .iter()
                .map(|one| ScheduleView::from(one.as_ref()))
                .collect(),
        }
    }
}

impl<'a> From<&'a Kind> for KindView<'a> {
    fn from(kind: &'a Kind) -> Self {
        Self {
            name: &kind.name,
            aliases: &kind.aliases,
            description: &kind.description,
            class: &kind.class.0,
            priority: kind.priority,
            timeout_ms: kind.timeout_ms,
            attempts_max: kind.retry.attempts_max,
            model: kind.model.as_ref().map(ModelView::from),
        }
    }
}

impl<'a> From<&'a ModelHint> for ModelView<'a> {
    fn from(hint: &'a ModelHint) -> Self {
        Self { tag: &hint.tag, num_ctx: hint.num_ctx }
    }
}

impl From<&Limits> for LimitsView {
    fn from(limits: &Limits) -> Self {
        let &Limits {
            memory_bytes_max,
            cpu_ms_max,
            host_calls_max,
            output_bytes_max,
            log_bytes_max,
            job_tokens_max,
        } = limits;
        Self {
            memory_bytes_max,
            cpu_ms_max,
            host_calls_max,
            output_bytes_max,
            log_bytes_max,
            job_tokens_max,
        }
    }
}

impl<'a> From<&'a Schedule> for ScheduleView<'a> {
    fn from(schedule: &'a Schedule) -> Self {
        let spec = &schedule.spec;
        Self { id: &spec.id, kind: &spec.kind, expr: &spec.expr }
    }
}

impl<'a> From<&'a RefusedPlugin> for RefusedView<'a> {
    fn from(plugin: &'a RefusedPlugin) -> Self {
        Self { name: &plugin.name, code: plugin.code, message: &plugin.message }
    }
}

/// The capabilities a plugin asked for, and got: a plugin with one that is not granted is refused.
fn wishes(capabilities: &Capabilities) -> BTreeMap<&'static str, Value> {
    let Capabilities { llm, http, callback, kv, submit } = capabilities;
    let wishes = [
        llm.as_ref().map(|wish| ("llm", json!({ "models": wish.models }))),
        http.as_ref().map(|wish| ("http", json!({ "hosts": wish.hosts }))),
        callback.as_ref().map(|wish| ("callback", json!({ "targets": wish.targets }))),
        kv.as_ref().map(|wish| ("kv", json!({ "bytes_max": wish.bytes_max }))),
        submit.as_ref().map(|wish| ("submit", json!({ "kinds": wish.kinds }))),
    ];
    wishes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::ports::catalog::RefusedPlugin;
    use serde_json::json;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn plugins_show_what_they_serve_and_may_do_and_refused_ones_why() {
        let host = Host::new();
        host.fakes.catalog.refuse(RefusedPlugin {
            name: "broken".into(),
            code: "not-a-component",
            message: "build it for wasm32-wasip2".into(),
        });
        let list = json(host.get("/plugins").await).await;
        let plugin = &list["plugins"][1];
        assert_eq!((&plugin["name"], &plugin["digest"]), (&json!("summarize"), &json!("sha256:2")));
        assert_eq!(plugin["capabilities"], json!({"llm": {"models": ["qwen3:*"]}}));
        assert_eq!(
            plugin["limits"],
            json!({
                "memory_bytes_max": 64 << 20, "cpu_ms_max": 10_000, "host_calls_max": 1_000,
                "output_bytes_max": 1 << 20, "log_bytes_max": 64 << 10, "job_tokens_max": 9_000,
            })
        );
        let kind = &plugin["kinds"][0];
        assert_eq!((&kind["name"], &kind["class"]), (&json!("summarize"), &json!("ollama")));
        assert_eq!(kind["model"], json!({"tag": "qwen3:30b", "num_ctx": null}));
        assert_eq!(
            list["refused"],
            json!([{"name": "broken", "code": "not-a-component", "message": "build it for wasm32-wasip2"}])
        );
    }
}
