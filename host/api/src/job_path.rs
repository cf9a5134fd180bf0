//! The job that a path names.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use roughneck_jobs::id::{JobId, NotAnId};

use crate::{App, code::Code, problem::Problem};

/// The `{id}` of `/jobs/{id}…`. The store knows the job when there is this, if it is one.
pub(crate) struct JobPath(pub(crate) JobId);

impl FromRequestParts<Arc<App>> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        // The only rejection left is a path whose percent-encoding is no UTF-8.
        let Path(text) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|rejection| Problem::new(Code::MalformedId, rejection.body_text()))?;
        named(app, &text).await.map(Self)
    }
}

/// The job that a part of a path names. One whose client waits is written a moment later than it is accepted, unless somebody
/// asks for it: here.
pub(crate) async fn named(app: &App, text: &str) -> Result<JobId, Problem> {
    let malformed = |error: NotAnId| Problem::new(Code::MalformedId, error.to_string());
    let id = text.parse().map_err(malformed)?;
    app.ports.control.written(id).await;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{job::Job, state::State};

    use crate::testing::{Host, a_job};

    #[tokio::test]
    async fn whoever_asks_for_a_job_that_is_not_yet_written_has_it_written() {
        for (method, path) in [
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/artifacts"),
            ("GET", "/artifacts/completion"),
            ("POST", "/retry"),
            ("DELETE", ""),
        ] {
            let host = Host::new();
            let job = Job { state: State::Failed, ..a_job() };
            host.fakes.control.draft(job.clone());
            let answer = host.send(method, &format!("/jobs/{}{path}", job.id), "").await;
            let text = crate::testing::text(answer).await;
            assert!(!text.contains("unknown-job"), "{method} {path}: {text}");
            assert_eq!(host.fakes.control.drafts(), 0, "{method} {path}");
        }
    }
}
