//! `DELETE /schedules/{id}`: deletes a schedule that was made here. Its jobs stay.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    App,
    find_schedule::{find_made, unknown},
    problem::Problem,
    schedule_path::SchedulePath,
};

#[derive(Serialize)]
struct Answer<'a> {
    deleted: &'a str,
}

pub(crate) async fn delete_schedule(
    State(app): State<Arc<App>>,
    SchedulePath(id): SchedulePath,
) -> Result<Response, Problem> {
    find_made(&app, &id).await?;
    if !app.ports.schedules.delete_schedule(&id).await? {
        // Somebody else was faster.
        return Err(unknown(&app, &id).await);
    }
    Ok(Json(Answer { deleted: &id }).into_response())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, json};

    #[tokio::test]
    async fn a_deleted_schedule_is_gone() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"echo","expr":"0 3 * * *"}"#).await;
        let response = host.send("DELETE", "/schedules/nightly", "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(json(response).await, serde_json::json!({"deleted": "nightly"}));
        let again = host.send("DELETE", "/schedules/nightly", "").await;
        assert_eq!(json(again).await["code"], "unknown-schedule");
    }

    #[tokio::test]
    async fn a_schedule_of_a_manifest_is_paused_instead() {
        let host = Host::new();
        let response = host.send("DELETE", "/schedules/echo%2Fhourly", "").await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!(problem["code"], "schedule-of-manifest");
        assert!(problem["detail"].as_str().unwrap().contains("/pause"), "{problem}");
    }
}
