//! `GET /healthz`: the process lives, how the path to Ollama is, and how many clients there are. Always 200: restarting the host
//! mends no Ollama.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use roughneck_jobs::model::Health;
use serde::Serialize;

use crate::{App, Settings};

#[derive(Serialize)]
struct HealthView<'a> {
    status: &'static str,
    version: &'a str,
    ollama: Health,
    connections: ConnectionsView,
}

#[derive(Serialize)]
struct ConnectionsView {
    open: i64,
    limit: usize,
}

pub(crate) async fn check_health(State(app): State<Arc<App>>) -> Response {
    let ollama = app.ports.llm.health();
    let status = match ollama {
        Health::Unknown | Health::Up { .. } => "ok",
        Health::OnTrial { .. } | Health::Down { .. } => "degraded",
    };
    let Settings { version, connections_max: limit, .. } = &app.settings;
    let connections = ConnectionsView { open: app.metrics.connections.get(), limit: *limit };
    Json(HealthView { status, version, ollama, connections }).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn a_host_without_ollama_is_degraded_and_alive() {
        let host = Host::new();
        let health = json(host.get("/healthz").await).await;
        assert_eq!((&health["status"], &health["ollama"]["state"]), (&"ok".into(), &"up".into()));
        host.fakes.llm.be_on_trial();
        let health = json(host.get("/healthz").await).await;
        assert_eq!(health["status"], "degraded");
        let on_trial = json!({"state": "on-trial", "reason": "it has failed"});
        assert_eq!(health["ollama"], on_trial);
        host.fakes.llm.go_down();
        host.fakes.store.break_down();
        let response = host.get("/healthz").await;
        assert_eq!(response.status(), 200);
        let health = json(response).await;
        assert_eq!(health["status"], "degraded");
        assert_eq!(health["ollama"]["reason"], "nobody listens");
        assert_eq!(health["connections"], json!({"open": 0, "limit": 1024}));
    }
}
