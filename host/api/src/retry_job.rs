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
        Retried::Queued | Retried::Blocked => {
            let job = ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
            Ok((StatusCode::ACCEPTED, Json(JobView::with_data(&job))).into_response())
        }
        Retried::HeldBack(needed) => Err(Problem::new(
            Code::NeedsFailed,
            format!(
                "the job {id} needs {needed}, which has no result; retry that one, and this one comes back with it"
            ),
        )
        .with("needs", needed.to_string())),
        Retried::NobodyWaits => Err(Problem::new(
            Code::NobodyWaits,
            format!(
                "the client of the job {id} waited for the answer on a connection that is closed; send the request again"
            ),
        )),
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
    use roughneck_jobs::{
        class::{CLIENT, Class},
        job::Job,
        state::State,
    };

    use crate::testing::{Host, a_dead_letter, a_job, job_id, json};

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
    async fn a_job_that_needs_another_one_without_a_result_is_a_conflict_with_that_one() {
        let host = Host::new();
        let job = a_dead_letter(2, "dependency-failed");
        host.fakes.store.put(job.clone());
        host.fakes.store.hold_back_by(job_id(1));
        let response = host.send("POST", &format!("/jobs/{}/retry", job.id), "").await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!(problem["code"], "needs-failed");
        assert_eq!(problem["needs"], job_id(1).to_string());
    }

    #[tokio::test]
    async fn a_job_whose_client_has_left_is_a_conflict_because_nobody_waits() {
        let host = Host::new();
        let class = Class(CLIENT.to_owned());
        let job = Job { class, ..a_dead_letter(1, "timeout") };
        host.fakes.store.put(job.clone());
        let response = host.send("POST", &format!("/jobs/{}/retry", job.id), "").await;
        assert_eq!(response.status(), 409);
        assert_eq!(json(response).await["code"], "nobody-waits");
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
