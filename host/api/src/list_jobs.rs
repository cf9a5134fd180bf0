//! `GET /jobs`: a page of jobs, the newest first.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use roughneck_jobs::{id::JobId, job::Filter, state};

use crate::{App, page, problem::Problem, query::Parameters};

pub(crate) async fn list_jobs(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Parameters::read(&uri, &["state", "kind", "limit", "before"])?;
    let limit = query.limit(page::LIMIT, page::LIMIT_MAX)?;
    let state: Option<state::State> = query.parse("state")?;
    let before: Option<JobId> = query.parse("before")?;
    let kind = query.get("kind").map(|kind| app.present_name(kind));
    let filter = Filter { state, kind, before, limit: page::one_more(limit), dead: None };
    let jobs = app.ports.store.jobs(filter.clone()).await?;
    let kept = [("state", state.map(state::State::as_str)), ("kind", filter.kind.as_deref())];
    Ok(page::of(&jobs, limit, "/jobs", &kept))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::job::Job;

    use super::*;
    use crate::testing::{Host, a_job, job_id, json};

    #[tokio::test]
    async fn pages_follow_each_other_until_the_last_and_keep_the_filter() {
        let host = Host::new();
        for n in 1..=5 {
            host.fakes.store.put(Job { id: job_id(n), state: state::State::Done, ..a_job() });
        }
        host.fakes.store.put(Job { id: job_id(6), ..a_job() });
        let mut path = "/jobs?state=done&limit=2&kind=echo".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = json(host.get(&path).await).await;
            let jobs = page["jobs"].as_array().unwrap();
            seen.extend(jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, [5, 4, 3, 2, 1].map(|n| job_id(n).to_string()));
    }

    #[tokio::test]
    async fn a_list_shows_no_inputs_and_takes_old_names_of_kinds() {
        let host = Host::new();
        host.fakes.store.put(a_job());
        let page = json(host.get("/jobs?kind=old-echo").await).await;
        assert_eq!(page["jobs"][0]["kind"], "echo");
        assert!(page["jobs"][0].get("input").is_none());
        assert_eq!(page["next"], serde_json::Value::Null);
    }

    #[tokio::test]
    async fn every_wrong_parameter_is_refused_with_a_sentence() {
        let host = Host::new();
        let table = [
            ("stat=done", "unknown parameter `stat`; did you mean `state`?"),
            (
                "state=finished",
                "`state`: `finished` is not a state: use blocked, scheduled, queued, loading, \
                 working, done, failed or cancelled",
            ),
            ("limit=0", "`limit` must be a number from 1 to 200"),
            ("limit=many", "`limit` must be a number from 1 to 200"),
            (
                "before=x",
                "`before`: `x` is not an id: an id is a ULID, 26 characters of Crockford's base 32",
            ),
        ];
        for (query, detail) in table {
            let response = host.get(&format!("/jobs?{query}")).await;
            assert_eq!(response.status(), 400);
            let problem = json(response).await;
            assert_eq!(
                (&problem["code"], &problem["detail"]),
                (&"invalid-query".into(), &detail.into())
            );
        }
    }
}
