//! `DELETE /flows/{id}`: cancels all jobs of a flow that are not over, at once.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{App, code::Code, flow_path::FlowPath, get_flow::show, problem::Problem};

pub(crate) async fn cancel_flow(
    State(app): State<Arc<App>>,
    FlowPath(id): FlowPath,
) -> Result<Response, Problem> {
    if app.ports.control.cancel_flow(id).await?.jobs > 0 {
        return show(&app, id).await;
    }
    let flow = app.ports.flows.flow(id).await?.ok_or_else(|| Problem::unknown_flow(id))?;
    let state = flow.state().as_str();
    let detail = format!("the flow {id} is {state}, so there is nothing to cancel");
    Err(Problem::new(Code::AlreadyEnded, detail).with("state", state))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::state::State;

    use crate::testing::{Host, a_flow, flow_id, json};

    #[tokio::test]
    async fn a_flow_that_runs_is_cancelled_and_shown() {
        let host = Host::new();
        host.fakes.flows.put(a_flow(1, &[(State::Working, 1)]));
        let response = host.send("DELETE", &format!("/flows/{}", flow_id(1)), "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(json(response).await["id"], flow_id(1).to_string());
    }

    #[tokio::test]
    async fn a_flow_that_is_over_is_a_conflict_with_its_state() {
        let host = Host::new();
        host.fakes.flows.put(a_flow(1, &[(State::Failed, 1)]));
        let response = host.send("DELETE", &format!("/flows/{}", flow_id(1)), "").await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!(
            (&problem["code"], &problem["state"]),
            (&"already-ended".into(), &"failed".into())
        );
    }

    #[tokio::test]
    async fn only_a_flow_can_be_cancelled() {
        let host = Host::new();
        let response = host.send("DELETE", &format!("/flows/{}", flow_id(1)), "").await;
        assert_eq!(json(response).await["code"], "unknown-flow");
    }
}
