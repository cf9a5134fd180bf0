//! `POST /schedules/{id}/run`: submits a job of a schedule now, by hand.
//!
//! The next fire stays where it is. A run by hand waits for no earlier job, also with `overlap` `skip`;
//! but a fire that comes while it runs finds a job that has not ended. Where another job has its unique key,
//! that one is the answer, with `200`.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use roughneck_jobs::{intake, job::NewJob};

use crate::{
    App,
    find_schedule::find,
    ollama::later::placed,
    problem::Problem,
    schedule_path::SchedulePath,
    submit_job::{check_model, not_accepted, take},
    trace_parent::trace_parent,
    unknown_kind::unknown_kind,
};

pub(crate) async fn run_schedule(
    State(app): State<Arc<App>>,
    SchedulePath(id): SchedulePath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ports = &app.ports;
    let spec = find(&app, &id).await?.spec;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let served = ports
        .catalog
        .served(&spec.kind)
        .ok_or_else(|| unknown_kind(&spec.kind, ports.catalog.as_ref()))?;
    check_model(&app, &served).await?;
    let job = intake::fire(&spec, None, &served, ports.clock.as_ref(), ports.entropy.as_ref())
        .map_err(|error| not_accepted(&error))?;
    let job = placed(&app, job).await?;
    let job = NewJob { trace_parent: trace_parent(&headers), ..job };
    Ok(take(&app, job).await?.answer(&app))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::schedule::Fire;

    use crate::testing::{Host, a_job, json};

    #[tokio::test]
    async fn a_run_by_hand_is_a_job_with_the_schedule_s_input_and_no_instant() {
        let host = Host::new();
        host.send("POST", "/schedules/echo%2Fhourly/pause", "").await;
        let response = host.send("POST", "/schedules/echo%2Fhourly/run", "").await;
        assert_eq!(response.status(), 202, "also of a paused schedule");
        let job = host.fakes.store.submitted().remove(0);
        assert_eq!(response.headers()["location"], format!("/jobs/{}", job.id).as_str());
        assert_eq!(json(response).await["state"], "queued");
        assert_eq!(job.fire, Some(Fire { schedule: "echo/hourly".into(), at: None }));
        assert_eq!(job.input, r#"{"tick":true}"#);
    }

    #[tokio::test]
    async fn a_run_by_hand_is_for_whom_the_schedule_is_for() {
        let host = Host::new();
        host.make(r#"{"id":"daily","kind":"echo","expr":"@every 24h","caller":"alice"}"#).await;
        for (id, caller) in [("daily", Some("alice".parse().unwrap())), ("echo%2Fhourly", None)] {
            let path = format!("/schedules/{id}/run");
            assert_eq!(host.send("POST", &path, "").await.status(), 202);
            assert_eq!(host.fakes.store.submitted().pop().unwrap().caller, caller, "{id}");
        }
    }

    #[tokio::test]
    async fn a_run_by_hand_whose_unique_key_is_taken_is_answered_with_the_job_that_has_it() {
        let host = Host::new();
        host.fakes.store.win_the_race_with(a_job());
        let response = host.send("POST", "/schedules/echo%2Fhourly/run", "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["location"], format!("/jobs/{}", a_job().id).as_str());
        assert_eq!(json(response).await["id"], a_job().id.to_string());
    }

    #[tokio::test]
    async fn what_cannot_run_now_is_refused_as_a_submission_is() {
        let host = Host::new();
        host.make(r#"{"id":"daily","kind":"summarize","expr":"@every 24h"}"#).await;
        host.fakes.llm.forget_models();
        let run = async |id: &str| {
            json(host.send("POST", &format!("/schedules/{id}/run"), "").await).await["code"].clone()
        };
        assert_eq!(run("daily").await, "model-not-installed");
        assert_eq!(run("nightly").await, "unknown-schedule");
        host.fakes.catalog.uninstall();
        assert_eq!(run("daily").await, "unknown-kind");
        host.fakes.control.stop();
        assert_eq!(run("daily").await, "stopping");
        assert!(host.fakes.store.submitted().is_empty());
    }
}
