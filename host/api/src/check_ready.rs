//! `GET /readyz`: whether the host takes work.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use roughneck_jobs::{
    causes::Causes,
    ports::store::{Store, StoreError},
};
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
    reasons.extend(ailment(&*app.ports.store).await);
    if reasons.is_empty() {
        return Ok(Json(json!({ "status": "ready" })).into_response());
    }
    Err(Problem::not_ready(reasons))
}

/// What keeps the store from serving a submission.
async fn ailment(store: &dyn Store) -> Option<String> {
    // The log has told it.
    if let Some(error) = store.failing() {
        return Some(if matches!(error, StoreError::DiskFull { .. }) {
            "the disk is full, so nothing can be written".to_owned()
        } else {
            "the store fails".to_owned()
        });
    }
    match tokio::time::timeout(STORE_WAIT, store.synced()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(
                error = %Causes(&error),
                "the store did not answer the readiness check"
            );
            Some("the store fails".to_owned())
        }
        Err(_) => Some("the store does not answer within 2 seconds".to_owned()),
    }
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
    async fn a_host_that_cannot_write_is_not_ready() {
        let host = Host::new();
        host.fakes.store.fail_to_write();
        let response = host.get("/readyz").await;
        assert_eq!(response.status(), 503);
        let reasons = &json(response).await["reasons"];
        assert_eq!(*reasons, json!(["the disk is full, so nothing can be written"]));
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
