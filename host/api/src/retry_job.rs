//! `POST /jobs/{id}/retry`: runs a job again that has failed or was cancelled.
//!
//! The answer `202` means that it is queued on disk, at its old place and with all its attempts.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use roughneck_jobs::ports::store::Retried;

use crate::{App, code::Code, job_path::JobPath, problem::Problem, view::JobView};

pub(crate) async fn retry_job(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Response, Problem> {
    let ports = &app.ports;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    match ports.store.retry(id, ports.clock.now()).await? {
        Retried::Queued => {
            let job = ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
            Ok((StatusCode::ACCEPTED, Json(JobView::with_data(&job))).into_response())
        }
        Retried::Unchanged(state) => {
            let state = state.as_str();
            Err(Problem::new(
                Code::NotEnded,
                format!(
                    "the job {id} is {state}; only one that has failed or was cancelled can be retried"
                ),
            )
            .with("state", state))
        }
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{job::Job, state::State};

    use crate::testing::{Host, a_dead_letter, a_job, json};

    #[tokio::test]
    async fn a_dead_letter_is_queued_again_and_shown_as_such() {
        let host = Host::new();
        let job = a_dead_letter(1, "timeout");
        host.fakes.store.put(job.clone());
        let response = host.send("POST", &format!("/jobs/{}/retry", job.id), "").await;
        assert_eq!(response.status(), 202);
        let shown = json(response).await;
        assert_eq!((&shown["state"], &shown["attempt"]), (&"queued".into(), &0.into()));
        assert_eq!(shown["id"], job.id.to_string());
    }

    #[tokio::test]
    async fn a_job_that_has_neither_failed_nor_been_cancelled_is_a_conflict_with_its_state() {
        for state in [State::Working, State::Done] {
            let host = Host::new();
            let job = Job { state, ..a_job() };
            host.fakes.store.put(job.clone());
            let response = host.send("POST", &format!("/jobs/{}/retry", job.id), "").await;
            assert_eq!(response.status(), 409);
            let problem = json(response).await;
            assert_eq!(problem["code"], "not-ended");
            assert_eq!(problem["state"], state.as_str());
        }
    }

    #[tokio::test]
    async fn only_a_job_can_be_retried_and_only_while_the_host_takes_work() {
        let host = Host::new();
        let unknown = "/jobs/01K9Z4T8N6Q0V5W3X2Y1R7S9AB/retry";
        for (path, status, code) in
            [(unknown, 404, "unknown-job"), ("/jobs/x/retry", 400, "malformed-id")]
        {
            let response = host.send("POST", path, "").await;
            assert_eq!(response.status(), status);
            assert_eq!(json(response).await["code"], code);
        }
        host.fakes.control.stop();
        let response = host.send("POST", unknown, "").await;
        assert_eq!(json(response).await["code"], "stopping");
    }
}
