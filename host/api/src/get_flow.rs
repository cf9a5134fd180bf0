//! `GET /flows/{id}`: a flow with all its jobs, what they need, and how each stands.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{App, flow_path::FlowPath, flow_view::FlowView, problem::Problem};

pub(crate) async fn get_flow(
    State(app): State<Arc<App>>,
    FlowPath(id): FlowPath,
) -> Result<Response, Problem> {
    show(&app, id).await
}

/// The flow as it is now.
pub(crate) async fn show(app: &App, id: roughneck_jobs::id::FlowId) -> Result<Response, Problem> {
    let flow = app.ports.flows.flow(id).await?.ok_or_else(|| Problem::unknown_flow(id))?;
    let parts = app.ports.flows.parts(id).await?;
    Ok(Json(FlowView::with_parts(&flow, &parts)).into_response())
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{
        failure::Failure,
        flow::{Flow, Need, OnFailure, Part, Tally},
        job::Job,
        state::State,
    };
    use serde_json::json as value;

    use crate::testing::{Host, a_flow, a_part, flow_id, job_id, json};

    fn need(n: i64, on_failure: OnFailure) -> Need {
        Need { job: job_id(n), on_failure }
    }

    #[tokio::test]
    async fn a_flow_shows_the_graph_of_its_jobs_and_how_each_stands() {
        let host = Host::new();
        let flow = a_flow(1, &[(State::Failed, 1), (State::Blocked, 1)]);
        host.fakes.flows.put(flow.clone());
        let failed = a_part(1, "fetch", State::Failed);
        let failure = Some(Failure::fatal("broken", "it broke"));
        let failed = Part { job: Job { failure, ..failed.job }, ..failed };
        let needs = vec![need(1, OnFailure::Continue), need(7, OnFailure::Fail)];
        let waits = Part { needs, ..a_part(2, "send", State::Blocked) };
        host.fakes.flows.put_parts(flow.id, vec![failed, waits]);

        let view = json(host.get(&format!("/flows/{}", flow.id)).await).await;
        assert_eq!((&view["state"], &view["finished_at"]), (&"running".into(), &value!(null)));
        assert_eq!(view["counts"], value!({"blocked": 1, "failed": 1}));
        assert_eq!((&view["ended"], &view["submitted"]), (&1.into(), &2.into()));
        let [fetch, send] = view["jobs"].as_array().unwrap().as_slice() else { panic!("{view}") };
        assert_eq!((&fetch["name"], &fetch["state"]), (&"fetch".into(), &"failed".into()));
        assert_eq!((&fetch["error"]["code"], &fetch["needs"]), (&"broken".into(), &value!([])));
        assert_eq!(
            send["needs"],
            value!([
                {"job": "fetch", "id": job_id(1), "on_failure": "continue"},
                {"job": null, "id": job_id(7), "on_failure": "fail"},
            ])
        );
        assert_eq!((&send["kind"], &send["waits"]), (&"echo".into(), &1.into()));
    }

    #[tokio::test]
    async fn a_flow_that_is_over_says_when_and_what_was_deleted() {
        let host = Host::new();
        let ignored = Tally { state: State::Failed, is_ignored: true, jobs: 1 };
        let flow = a_flow(1, &[(State::Done, 2)]);
        let tallies = [flow.tallies.clone(), vec![ignored]].concat();
        let flow = Flow { jobs: 5, tallies, ..flow };
        host.fakes.flows.put(flow.clone());
        let view = json(host.get(&format!("/flows/{}", flow.id)).await).await;
        assert_eq!((&view["state"], &view["deleted"]), (&"done".into(), &2.into()));
        assert_eq!((&view["ended"], &view["submitted"]), (&5.into(), &5.into()));
        assert_eq!(view["finished_at"], "1970-01-01T00:00:00.009Z");
    }

    #[tokio::test]
    async fn an_unknown_flow_and_a_malformed_id_are_told_apart() {
        let host = Host::new();
        for (path, status, code) in [
            (format!("/flows/{}", flow_id(1)), 404, "unknown-flow"),
            ("/flows/42".to_owned(), 400, "malformed-id"),
        ] {
            let response = host.get(&path).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(json(response).await["code"], code);
        }
    }
}
