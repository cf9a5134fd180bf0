//! `GET /schedules/{id}`: one schedule, with its input.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    App, find_schedule, problem::Problem, schedule_path::SchedulePath, schedule_view::ScheduleView,
};

pub(crate) async fn get_schedule(
    State(app): State<Arc<App>>,
    SchedulePath(id): SchedulePath,
) -> Result<Response, Problem> {
    show(&app, &id).await
}

/// The answer of every operation that leaves a schedule behind.
pub(crate) async fn show(app: &App, id: &str) -> Result<Response, Problem> {
    let known = find_schedule::find(app, id).await?;
    let (catalog, now) = (app.ports.catalog.as_ref(), app.ports.clock.now());
    Ok(Json(ScheduleView::whole(&known, catalog, now)).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn a_schedule_shows_its_input_and_the_slash_of_its_id_is_encoded() {
        let host = Host::new();
        let shown = json(host.get("/schedules/echo%2Fhourly").await).await;
        assert_eq!(
            (&shown["id"], &shown["input"]),
            (&"echo/hourly".into(), &value!({"tick": true}))
        );
        assert_eq!(
            (&shown["timezone"], &shown["missed"]),
            (&"Europe/Berlin".into(), &"once".into())
        );
    }

    #[tokio::test]
    async fn an_unknown_schedule_is_told_the_nearest_one_and_a_bare_slash_how_to_write_it() {
        let host = Host::new();
        let response = host.get("/schedules/echo%2Fhourli").await;
        assert_eq!(response.status(), 404);
        let problem = json(response).await;
        assert_eq!(problem["code"], "unknown-schedule");
        assert_eq!(problem["suggestion"], "echo/hourly");
        for path in ["/schedules/nightly", "/schedules/%ff"] {
            assert_eq!(json(host.get(path).await).await["code"], "unknown-schedule", "{path}");
        }
        let problem = json(host.get("/schedules/echo/hourly").await).await;
        assert_eq!(problem["code"], "no-such-route");
        assert!(problem["detail"].as_str().unwrap().contains("%2F"), "{problem}");
    }
}
