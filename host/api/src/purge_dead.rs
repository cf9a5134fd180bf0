//! `DELETE /dead`: deletes dead letters, by kind and code, the oldest first. One whose webhooks are
//! still being sent is kept, and is among those left.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use roughneck_jobs::job::DeadLetters;
use serde::Serialize;

use crate::{App, problem::Problem, query::Parameters, retry_dead::LIMIT_MAX};

#[derive(Serialize)]
struct Answer {
    deleted: u32,
    /// Those of the same kind and code that are there now.
    left: u64,
}

pub(crate) async fn purge_dead(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Parameters::read(&uri, &["kind", "code", "limit"])?;
    let limit = query.limit(LIMIT_MAX, LIMIT_MAX)?;
    let which = DeadLetters {
        kind: query.get("kind").map(|kind| app.present_name(kind)),
        code: query.get("code").map(str::to_owned),
        failed_before: None,
    };
    let cleared = app.ports.store.purge(which, limit).await?;
    Ok(Json(Answer { deleted: cleared.jobs, left: cleared.left }).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use crate::testing::{Host, a_dead_letter, a_job, json};

    #[tokio::test]
    async fn dead_letters_of_a_kind_and_a_code_are_deleted_and_the_rest_is_counted() {
        let host = Host::new();
        for (n, code) in [(2, "timeout"), (3, "timeout"), (4, "trapped")] {
            host.fakes.store.put(a_dead_letter(n, code));
        }
        host.fakes.store.put(a_job());
        for (query, answer) in [
            ("?kind=old-echo&code=timeout&limit=1", value!({"deleted": 1, "left": 1})),
            ("?kind=summarize", value!({"deleted": 0, "left": 0})),
            ("", value!({"deleted": 2, "left": 0})),
        ] {
            let response = host.send("DELETE", &format!("/dead{query}"), "").await;
            assert_eq!(response.status(), 200);
            assert_eq!(json(response).await, answer);
        }
        assert_eq!(host.get(&format!("/jobs/{}", a_job().id)).await.status(), 200);
    }

    #[tokio::test]
    async fn a_wrong_parameter_deletes_nothing() {
        let host = Host::new();
        host.fakes.store.put(a_dead_letter(1, "timeout"));
        for query in ["kinds=echo", "limit=0", "limit=501", "before=x"] {
            let response = host.send("DELETE", &format!("/dead?{query}"), "").await;
            assert_eq!(response.status(), 400);
            assert_eq!(json(response).await["code"], "invalid-query");
        }
        assert_eq!(json(host.get("/dead").await).await["jobs"].as_array().unwrap().len(), 1);
    }
}
