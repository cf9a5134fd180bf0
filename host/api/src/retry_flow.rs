//! `POST /flows/{id}/retry`: runs all jobs of a flow again that have failed or were cancelled, each after
//! those that it needs. What is done stays done.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use roughneck_jobs::flow::FlowState;
use serde::Serialize;

use crate::{App, code::Code, flow_path::FlowPath, problem::Problem};

#[derive(Serialize)]
struct Answer {
    /// Jobs that are queued again, or wait again for others.
    retried: u32,
    /// Jobs that stay what they are, because they need one that was deleted.
    held_back: u32,
    state: FlowState,
}

pub(crate) async fn retry_flow(
    State(app): State<Arc<App>>,
    FlowPath(id): FlowPath,
) -> Result<Response, Problem> {
    let ports = &app.ports;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let retried = ports.flows.retry_flow(id, ports.clock.now()).await?;
    let flow = ports.flows.flow(id).await?.ok_or_else(|| Problem::unknown_flow(id))?;
    let state = flow.state();
    if retried.jobs > 0 {
        let answer = Answer { retried: retried.jobs, held_back: retried.held_back, state };
        return Ok((StatusCode::ACCEPTED, Json(answer)).into_response());
    }
    if retried.held_back > 0 {
        let detail = format!(
            "the failed jobs of the flow {id} need jobs that were deleted; submit the flow again"
        );
        return Err(Problem::new(Code::NeedsFailed, detail));
    }
    let state = state.as_str();
    let detail =
        format!("the flow {id} is {state}, and none of its jobs has failed or was cancelled");
    Err(Problem::new(Code::NotEnded, detail).with("state", state))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{ports::flows::RetriedFlow, state::State};
    use serde_json::json as value;

    use crate::testing::{Host, a_flow, flow_id, json};

    async fn retried(retried: RetriedFlow) -> (u16, serde_json::Value) {
        let host = Host::new();
        host.fakes.flows.put(a_flow(1, &[(State::Queued, 1)]));
        host.fakes.flows.retry_as(retried);
        let response = host.send("POST", &format!("/flows/{}/retry", flow_id(1)), "").await;
        (response.status().as_u16(), json(response).await)
    }

    #[tokio::test]
    async fn what_came_back_is_counted_and_so_is_what_could_not() {
        let (status, answer) = retried(RetriedFlow { jobs: 3, held_back: 1 }).await;
        assert_eq!(status, 202);
        assert_eq!(answer, value!({"retried": 3, "held_back": 1, "state": "running"}));
    }

    #[tokio::test]
    async fn a_flow_of_which_nothing_can_come_back_is_a_conflict() {
        let (status, problem) = retried(RetriedFlow::default()).await;
        assert_eq!((status, &problem["code"]), (409, &"not-ended".into()));
        assert_eq!(problem["state"], "running");
        let (status, problem) = retried(RetriedFlow { jobs: 0, held_back: 2 }).await;
        assert_eq!((status, &problem["code"]), (409, &"needs-failed".into()));
    }

    #[tokio::test]
    async fn only_a_flow_can_be_retried_and_only_while_the_host_takes_work() {
        let host = Host::new();
        let path = format!("/flows/{}/retry", flow_id(1));
        assert_eq!(json(host.send("POST", &path, "").await).await["code"], "unknown-flow");
        host.fakes.control.stop();
        assert_eq!(json(host.send("POST", &path, "").await).await["code"], "stopping");
    }
}
