//! `DELETE /jobs/{id}`: cancels a job, at once, also inside a call to a model.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use roughneck_jobs::ports::store::Cancelled;

use crate::{App, code::Code, job_path::JobPath, problem::Problem, view::JobView};

pub(crate) async fn cancel_job(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Response, Problem> {
    match app.ports.control.cancel(id).await? {
        Cancelled::Waiting | Cancelled::Running(_) => {
            let job = app.ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
            Ok(Json(JobView::with_data(&job)).into_response())
        }
        Cancelled::Ended(state) => {
            let state = state.as_str();
            Err(Problem::new(
                Code::AlreadyEnded,
                format!("the job {id} is {state}, so there is nothing to cancel"),
            )
            .with("state", state))
        }
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{job::Job, state::State};

    use crate::testing::{Host, a_job, json};

    #[tokio::test]
    async fn a_cancelled_job_is_shown_as_such() {
        let host = Host::new();
        let job = a_job();
        host.fakes.store.put(job.clone());
        let response = host.send("DELETE", &format!("/jobs/{}", job.id), "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(json(response).await["state"], "cancelled");
    }

    #[tokio::test]
    async fn a_job_that_has_ended_is_a_conflict_with_its_state() {
        let host = Host::new();
        let job = Job { state: State::Done, ..a_job() };
        host.fakes.store.put(job.clone());
        let response = host.send("DELETE", &format!("/jobs/{}", job.id), "").await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!(
            (&problem["code"], &problem["state"]),
            (&"already-ended".into(), &"done".into())
        );
    }

    #[tokio::test]
    async fn only_a_job_can_be_cancelled() {
        let host = Host::new();
        for (path, status, code) in [
            ("/jobs/01K9Z4T8N6Q0V5W3X2Y1R7S9AB", 404, "unknown-job"),
            ("/jobs/x", 400, "malformed-id"),
        ] {
            let response = host.send("DELETE", path, "").await;
            assert_eq!(response.status(), status);
            assert_eq!(json(response).await["code"], code);
        }
    }
}
