//! `GET /readyz`: whether the host takes work.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{App, code::Code, problem::Problem};

/// A store that needs longer for a small read does not serve a submission either.
const STORE_WAIT: Duration = Duration::from_secs(2);

pub(crate) async fn check_ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut reasons: Vec<&'static str> = Vec::new();
    if app.ports.control.is_stopping() {
        reasons.push("the host stops");
    }
    match tokio::time::timeout(STORE_WAIT, app.ports.store.counts()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store did not answer the readiness check"
            );
            reasons.push("the store fails");
        }
        Err(_) => reasons.push("the store does not answer within 2 seconds"),
    }
    if reasons.is_empty() {
        return Ok(Json(json!({ "status": "ready" })).into_response());
    }
    Err(Problem::new(Code::NotReady, reasons.join("; ")).with("reasons", reasons))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn a_host_is_ready_until_it_stops_or_its_store_fails() {
        let host = Host::new();
        assert_eq!(host.get("/readyz").await.status(), 200);
        host.fakes.control.stop();
        host.fakes.store.break_down();
        let response = host.get("/readyz").await;
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        let problem = json(response).await;
        assert_eq!(problem["code"], "not-ready");
        assert_eq!(problem["reasons"], json!(["the host stops", "the store fails"]));
    }
}
