//! `GET /readyz`: whether the host takes work.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use roughneck_jobs::causes::Causes;
use serde_json::json;

use crate::{App, problem::Problem};

/// A store that needs longer to bring what was written to the disk does not serve a submission either.
const STORE_WAIT: Duration = Duration::from_secs(2);

pub(crate) async fn check_ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut reasons = Vec::new();
    if app.ports.control.is_stopping() {
        reasons.push("the host stops".to_owned());
    }
    if let Some(passed) = app.ports.store.passed_mark() {
        reasons.push(format!("no new jobs are taken: {passed}"));
    }
    match tokio::time::timeout(STORE_WAIT, app.ports.store.synced()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(
                error = %Causes(&error),
                "the store did not answer the readiness check"
            );
            reasons.push("the store fails".to_owned());
        }
        Err(_) => reasons.push("the store does not answer within 2 seconds".to_owned()),
    }
    if reasons.is_empty() {
        return Ok(Json(json!({ "status": "ready" })).into_response());
    }
    Err(Problem::not_ready(reasons))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::mark::{Mark, Passed};
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

    #[tokio::test]
    async fn a_host_that_is_full_is_not_ready_and_says_which_mark_is_passed() {
        let host = Host::new();
        host.fakes.store.fill_up(Passed { mark: Mark::Jobs, level: 9, limit: 9 });
        let response = host.get("/readyz").await;
        assert_eq!(response.status(), 503);
        let reason = json(response).await["reasons"][0].as_str().unwrap().to_owned();
        assert!(reason.starts_with("no new jobs are taken: 9 jobs have not ended"), "{reason}");
    }
}
