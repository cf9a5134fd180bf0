//! `POST /schedules/{id}/pause`: lets a schedule fire nothing until it is resumed, over restarts too.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use roughneck_jobs::schedule::{Origin, Pause};

use crate::{
    App,
    find_schedule::{find, unknown},
    get_schedule::show,
    pause_view::{Wanted, invalid},
    problem::Problem,
    schedule_path::SchedulePath,
};

pub(crate) async fn pause_schedule(
    State(app): State<Arc<App>>,
    SchedulePath(id): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    let Wanted { for_ms, reason } = Wanted::read(&app, request).await?;
    if for_ms.is_some() {
        return Err(invalid(
            "a schedule is paused until it is resumed; leave `for` out".to_owned(),
        ));
    }
    let known = find(&app, &id).await?;
    let (schedules, now) = (&app.ports.schedules, app.ports.clock.now());
    match (&known.origin, &known.kept) {
        // The engine has not looked at it yet.
        (Origin::Manifest { .. }, None) => {
            schedules.remember_schedule(&id, &known.spec.timing(), now).await?;
        }
        (Origin::Manifest { .. } | Origin::Api, _) => {}
    }
    if !schedules.pause_schedule(&id, Pause { since: now, reason }).await? {
        return Err(unknown(&app, &id).await);
    }
    show(&app, &id).await
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use crate::testing::{Host, NOW, json};

    #[tokio::test]
    async fn schedules_of_manifests_and_those_made_here_can_be_paused_with_a_reason() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"echo","expr":"0 3 * * *"}"#).await;
        for (path, body, reason) in [
            ("/schedules/nightly/pause", "", "paused on request"),
            ("/schedules/echo%2Fhourly/pause", r#"{"reason":"the CMS moves"}"#, "the CMS moves"),
        ] {
            let response = host.send("POST", path, body).await;
            assert_eq!(response.status(), 200);
            let paused = json(response).await["paused"].clone();
            assert_eq!(paused, value!({"since": NOW.to_string(), "until": null, "reason": reason}));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_used_pauses_nothing() {
        let host = Host::new();
        let long = format!(r#"{{"reason":"{}"}}"#, "ü".repeat(501));
        for (path, body, code) in [
            ("/schedules/nightly/pause", "", "unknown-schedule"),
            ("/schedules/echo%2Fhourly/pause", "[]", "not-an-object"),
            ("/schedules/echo%2Fhourly/pause", r#"{"why":"x"}"#, "invalid-submission"),
            ("/schedules/echo%2Fhourly/pause", r#"{"reason":""}"#, "invalid-submission"),
            ("/schedules/echo%2Fhourly/pause", &long, "invalid-submission"),
            ("/schedules/echo%2Fhourly/pause", r#"{"for":"10m"}"#, "invalid-submission"),
        ] {
            let response = host.send("POST", path, body.to_owned()).await;
            assert_eq!(json(response).await["code"], code, "{body}");
        }
        let shown = json(host.get("/schedules/echo%2Fhourly").await).await;
        assert_eq!(shown["paused"], value!(null));
    }
}
