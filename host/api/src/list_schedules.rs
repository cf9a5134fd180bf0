//! `GET /schedules`: all schedules, of manifests and made here, with their next fires.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    App, find_schedule, problem::Problem, query::NoParameters, schedule_view::ScheduleView,
};

/// By id. There is no next page: their number is bounded.
#[derive(Serialize)]
struct Schedules<'a> {
    schedules: Vec<ScheduleView<'a>>,
}

pub(crate) async fn list_schedules(
    _: NoParameters,
    State(app): State<Arc<App>>,
) -> Result<Response, Problem> {
    let (catalog, now) = (app.ports.catalog.as_ref(), app.ports.clock.now());
    let all = find_schedule::all(&app).await?;
    let schedules = all.iter().map(|known| ScheduleView::summary(known, catalog, now)).collect();
    Ok(Json(Schedules { schedules }).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn schedules_of_manifests_and_those_made_here_are_listed_alike() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"old-echo","expr":"30 3 * * *","input":{"a":1}}"#)
            .await;
        let list = json(host.get("/schedules").await).await;
        let [manifest, made] = list["schedules"].as_array().unwrap().as_slice() else {
            panic!("{list}")
        };
        assert_eq!(
            (&manifest["id"], &manifest["origin"]),
            (&"echo/hourly".into(), &"manifest".into())
        );
        assert_eq!((&manifest["plugin"], &manifest["paused"]), (&"echo".into(), &value!(null)));
        assert_eq!(manifest["links"]["self"], "/schedules/echo%2Fhourly");
        // It is 08:00 UTC.
        let next = &manifest["next"];
        assert_eq!(next.as_array().unwrap().len(), 5);
        let first =
            value!({"at": "2027-01-15T09:00:00.000Z", "local": "2027-01-15T10:00:00+01:00"});
        assert_eq!(next[0], first);
        assert_eq!((&made["id"], &made["origin"]), (&"nightly".into(), &"api".into()));
        assert_eq!((&made["kind"], &made["problem"]), (&"echo".into(), &value!(null)));
        assert_eq!(made["next"][0]["at"], "2027-01-16T03:30:00.000Z");
        assert!(made.get("input").is_none());
    }

    #[tokio::test]
    async fn a_schedule_says_that_its_kind_is_gone() {
        let host = Host::new();
        host.make(r#"{"id":"nightly","kind":"echo","expr":"@every 1h"}"#).await;
        host.fakes.catalog.uninstall();
        let list = json(host.get("/schedules").await).await;
        assert_eq!(list["schedules"].as_array().unwrap().len(), 1);
        let problem = &list["schedules"][0]["problem"];
        assert_eq!(problem["code"], "kind-missing");
        assert!(problem["message"].as_str().unwrap().contains("the kind `echo`"), "{problem}");
    }
}
