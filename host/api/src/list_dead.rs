//! `GET /dead`: a page of dead letters, the newest first: jobs that have failed, each with its error. A call whose
//! client waited on an open connection is none, because nobody would hear of its retry.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use roughneck_jobs::{
    id::JobId,
    job::{DeadLetters, Filter},
};

use crate::{App, page, problem::Problem, query::Parameters};

pub(crate) async fn list_dead(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Parameters::read(&uri, &["kind", "code", "limit", "before"])?;
    let limit = query.limit(page::LIMIT, page::LIMIT_MAX)?;
    let before: Option<JobId> = query.parse("before")?;
    let which = DeadLetters {
        kind: query.get("kind").map(|kind| app.present_name(kind)),
        code: query.get("code").map(str::to_owned),
        failed_before: None,
    };
    let dead = Some(which.clone());
    let filter = Filter { dead, before, limit: page::one_more(limit), ..Filter::default() };
    let jobs = app.ports.store.jobs(filter).await?;
    let kept = [("kind", which.kind.as_deref()), ("code", which.code.as_deref())];
    Ok(page::of(&jobs, limit, "/dead", &kept))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{
        class::{CLIENT, Class},
        job::Job,
    };

    use crate::testing::{Host, a_dead_letter, a_job, job_id, json};

    #[tokio::test]
    async fn a_dead_letter_is_shown_with_its_error_and_attempts() {
        let host = Host::new();
        host.fakes.store.put(a_dead_letter(1, "timeout"));
        host.fakes.store.put(Job { id: job_id(2), ..a_job() });
        let class = Class(CLIENT.to_owned());
        host.fakes.store.put(Job { class, ..a_dead_letter(3, "ollama-refused") });
        let page = json(host.get("/dead").await).await;
        let jobs = page["jobs"].as_array().unwrap();
        assert_eq!(
            jobs.len(),
            1,
            "only a failed job is one, and no call whose client has been told"
        );
        assert_eq!(jobs[0]["error"]["code"], "timeout");
        assert_eq!(jobs[0]["error"]["message"], "it broke");
        assert_eq!((&jobs[0]["attempt"], &jobs[0]["attempts_max"]), (&4.into(), &4.into()));
    }

    #[tokio::test]
    async fn pages_follow_each_other_until_the_last_and_keep_the_filter() {
        let host = Host::new();
        for n in 1..=5 {
            host.fakes.store.put(a_dead_letter(n, "time & out"));
        }
        host.fakes.store.put(a_dead_letter(6, "trapped"));
        let mut path = "/dead?code=time%20%26%20out&kind=old-echo&limit=2".to_owned();
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
    async fn a_wrong_parameter_is_refused() {
        let host = Host::new();
        for query in ["state=failed", "limit=201", "before=x", "cod=timeout"] {
            let response = host.get(&format!("/dead?{query}")).await;
            assert_eq!(response.status(), 400);
            assert_eq!(json(response).await["code"], "invalid-query");
        }
    }
}
