//! `PUT /schedules/{id}`: makes a schedule another one under the same id.
//!
//! What the body leaves out becomes the default, as in a new schedule; whether it is paused stays as
//! it is. With another expression or zone it starts anew: nothing of the past fires.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use roughneck_jobs::schedule::{Schedule, Written};

use crate::{
    App, body,
    code::Code,
    create_schedule::read,
    find_schedule::{find_made, unknown},
    get_schedule::show,
    problem::Problem,
    schedule_path::SchedulePath,
};

pub(crate) async fn change_schedule(
    State(app): State<Arc<App>>,
    SchedulePath(id): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    find_made(&app, &id).await?;
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head.headers, body, app.settings.body_bytes_max).await?;
    let written: Written = body::object(&body)?;
    if written.id.as_ref().is_some_and(|written| *written != id) {
        return Err(invalid("a schedule keeps its `id`; make another one and delete this one"));
    }
    if written.paused.is_some() {
        return Err(invalid("`paused` cannot be changed so; use `POST …/pause` or `…/resume`"));
    }
    let Schedule { spec, .. } = read(&app, Written { id: Some(id.clone()), ..written })?;
    if !app.ports.schedules.change_schedule(spec, app.ports.clock.now()).await? {
        // Somebody deleted it in between.
        return Err(unknown(&app, &id).await);
    }
    show(&app, &id).await
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidSubmission, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn a_changed_schedule_is_shown_with_what_is_new_and_with_defaults_for_the_rest() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"echo","expr":"0 3 * * *","overlap":"queue"}"#).await;
        let body = r#"{"kind":"echo","expr":"0 4 * * *","input":[7]}"#;
        let response = host.send("PUT", "/schedules/nightly", body).await;
        assert_eq!(response.status(), 200);
        let shown = json(response).await;
        assert_eq!((&shown["expr"], &shown["overlap"]), (&"0 4 * * *".into(), &"skip".into()));
        assert_eq!(shown["input"], json!([7]));
    }

    #[tokio::test]
    async fn whom_a_schedule_is_for_is_changed_and_cleared_like_the_rest_of_it() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"echo","expr":"0 3 * * *","caller":"alice"}"#).await;
        for (body, shown) in [
            (r#"{"kind":"echo","expr":"0 3 * * *","caller":"bob"}"#, json!("bob")),
            (r#"{"kind":"echo","expr":"0 3 * * *"}"#, json!(null)),
        ] {
            let response = host.send("PUT", "/schedules/nightly", body).await;
            assert_eq!(json(response).await["caller"], shown);
            let all = json(host.get("/schedules").await).await;
            let all = all["schedules"].as_array().unwrap();
            assert!(
                all.iter().any(|one| one["id"] == "nightly" && one["caller"] == shown),
                "{all:?}"
            );
        }
        assert_eq!(host.fakes.schedules.made("nightly").spec.caller, None);
    }

    #[tokio::test]
    async fn a_schedule_of_a_manifest_is_changed_in_its_manifest() {
        let response = Host::new()
            .send("PUT", "/schedules/echo%2Fhourly", r#"{"kind":"echo","expr":"x"}"#)
            .await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!(
            (&problem["code"], &problem["plugin"]),
            (&"schedule-of-manifest".into(), &"echo".into())
        );
        assert!(
            problem["detail"].as_str().unwrap().contains("POST /schedules/echo%2Fhourly/pause")
        );
    }

    #[tokio::test]
    async fn what_cannot_be_used_changes_nothing() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"echo","expr":"0 3 * * *"}"#).await;
        let table = [
            ("/schedules/other", r#"{"kind":"echo","expr":"0 4 * * *"}"#, 404, "unknown-schedule"),
            ("/schedules/nightly", r#"{"kind":"nope","expr":"0 4 * * *"}"#, 404, "unknown-kind"),
            (
                "/schedules/nightly",
                r#"{"kind":"echo","expr":"0 25 * * *"}"#,
                422,
                "invalid-submission",
            ),
            (
                "/schedules/nightly",
                r#"{"id":"b1","kind":"echo","expr":"0 4 * * *"}"#,
                422,
                "invalid-submission",
            ),
            (
                "/schedules/nightly",
                r#"{"kind":"echo","expr":"0 4 * * *","paused":true}"#,
                422,
                "invalid-submission",
            ),
        ];
        for (path, body, status, code) in table {
            let response = host.send("PUT", path, body).await;
            assert_eq!(response.status(), status, "{body}");
            assert_eq!(json(response).await["code"], code, "{body}");
        }
        assert_eq!(host.fakes.schedules.made("nightly").spec.expr, "0 3 * * *");
    }
}
