//! The job that a path names.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use roughneck_jobs::id::{JobId, NotAnId};

use crate::{code::Code, problem::Problem};

/// The `{id}` of `/jobs/{id}…`.
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The only rejection left is a path whose percent-encoding is no UTF-8.
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(Code::MalformedId, rejection.body_text()))?;
        read(&text).map(Self)
    }
}

/// Reads the id of a job.
pub(crate) fn read(text: &str) -> Result<JobId, Problem> {
    let malformed = |error: NotAnId| Problem::new(Code::MalformedId, error.to_string());
    text.parse().map_err(malformed)
}
