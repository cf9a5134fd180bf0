//! `GET /flows`: a page of flows, the newest first, without their jobs.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use roughneck_jobs::id::FlowId;
use serde::Serialize;

use crate::{App, flow_view::FlowView, page, problem::Problem, query::Parameters};

#[derive(Serialize)]
struct Page<'a> {
    flows: Vec<FlowView<'a>>,
    /// The address of the next page, or null on the last one.
    next: Option<String>,
}

pub(crate) async fn list_flows(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Parameters::read(&uri, &["limit", "before"])?;
    let limit = query.limit(page::LIMIT, page::LIMIT_MAX)?;
    let before: Option<FlowId> = query.parse("before")?;
    let flows = app.ports.flows.flows(before, page::one_more(limit)).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let last = (flows.len() > shown).then(|| flows.iter().take(shown).next_back()).flatten();
    let next = last.map(|last| format!("/flows?before={}&limit={limit}", last.id));
    let flows = flows.iter().take(shown).map(FlowView::summary).collect();
    Ok(Json(Page { flows, next }).into_response())
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::state::State;

    use crate::testing::{Host, a_flow, flow_id, json};

    #[tokio::test]
    async fn pages_follow_each_other_until_the_last_and_show_no_jobs() {
        let host = Host::new();
        for n in 1..=5 {
            host.fakes.flows.put(a_flow(n, &[(State::Done, 3)]));
        }
        let mut path = "/flows?limit=2".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = json(host.get(&path).await).await;
            let flows = page["flows"].as_array().unwrap();
            assert!(flows.iter().all(|flow| flow.get("jobs").is_none()));
            assert!(flows.iter().all(|flow| flow["counts"]["done"] == 3));
            seen.extend(flows.iter().map(|flow| flow["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, [5, 4, 3, 2, 1].map(|n| flow_id(n).to_string()));
    }

    #[tokio::test]
    async fn a_wrong_parameter_is_refused() {
        let host = Host::new();
        for query in ["state=done", "limit=201", "before=x"] {
            let response = host.get(&format!("/flows?{query}")).await;
            assert_eq!(response.status(), 400);
            assert_eq!(json(response).await["code"], "invalid-query");
        }
    }
}
