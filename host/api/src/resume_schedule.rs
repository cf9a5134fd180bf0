//! `POST /schedules/{id}/resume`: lets a paused schedule fire again. It makes up for nothing.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{
    App, find_schedule::find, get_schedule::show, problem::Problem, schedule_path::SchedulePath,
};

pub(crate) async fn resume_schedule(
    State(app): State<Arc<App>>,
    SchedulePath(id): SchedulePath,
) -> Result<Response, Problem> {
    if find(&app, &id).await?.is_paused() {
        // One that somebody deleted in between is not found below.
        app.ports.schedules.resume_schedule(&id, app.ports.clock.now()).await?;
    }
    show(&app, &id).await
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, json};

    #[tokio::test]
    async fn a_resumed_schedule_is_not_paused_and_one_that_never_was_stays_as_it_is() {
        let host = Host::new();
        host.send("POST", "/schedules/echo%2Fhourly/pause", "").await;
        for _ in 0..2 {
            let response = host.send("POST", "/schedules/echo%2Fhourly/resume", "").await;
            assert_eq!(response.status(), 200);
            assert!(json(response).await["paused"].is_null());
        }
        let response = host.send("POST", "/schedules/nightly/resume", "").await;
        assert_eq!(json(response).await["code"], "unknown-schedule");
    }
}
